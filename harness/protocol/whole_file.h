// A file that appears whole or not at all: written under a temporary name beside it, renamed by Commit().
// Without
// Commit() nothing is left. Failures are BadInput naming the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "harness/protocol/files.h"

namespace lockstep::protocol {

class WholeFile {
 public:
  explicit WholeFile(const std::filesystem::path& path);
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  void Append(std::span<const std::byte> bytes);
  void Append(const std::string& text);
  void Commit(Durability durability);

 private:
  [[noreturn]] void Refuse(const std::string& what) const;
  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace lockstep::protocol
