// Safetensors files: 8 bytes of header length (little endian), a JSON header, then the tensors' bytes.
//
// The reader makes every check that the format's specification asks for, before any tensor is read: length of the
// header (at most 100 MB, within the file), UTF-8 JSON object that starts with '{', no duplicate key, known dtypes,
// non-negative shapes without overflow, offsets that agree with dtype and shape, ascending, without overlap, hole or
// trailing bytes, `__metadata__` of strings only. What it refuses it refuses with BadInput naming file and tensor.
// The file is mapped, not read: opening a large data set costs nothing.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "harness/protocol/files.h"
#include "harness/protocol/tensor.h"

namespace lockstep::protocol {

class SafetensorsFile {
 public:
  struct Entry {
    DType dtype;
    Shape shape;
    std::span<const std::byte> bytes;  // valid as long as the SafetensorsFile lives
  };

  // Throws BadInput when the file can't be opened or breaks the format.
  static SafetensorsFile Open(const std::filesystem::path& path);
  // The same checks over bytes in memory (`name` stands for the file in messages); the bytes must outlive the object.
  static SafetensorsFile Parse(std::span<const std::byte> bytes, const std::string& name);

  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;
  ~SafetensorsFile();

  const std::string& name() const;
  const std::map<std::string, Entry>& entries() const;
  const std::map<std::string, std::string>& metadata() const;
  bool Contains(const std::string& tensor) const;
  const Entry& At(const std::string& tensor) const;  // throws BadInput naming file and tensor
  Tensor Load(const std::string& tensor) const;      // copies; throws BadInput when absent

 private:
  struct Impl;
  explicit SafetensorsFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Writes whole or not at all (see files.h). Tensors are laid out in the order of the map.
void WriteSafetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {},
                      Durability durability = Durability::kSynced);

}  // namespace lockstep::protocol
