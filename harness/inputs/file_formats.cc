#include "harness/inputs/file_formats.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::inputs {
namespace {

using protocol::BadInput;
using protocol::Tensor;

constexpr std::int32_t kTokenMagic = 20240520, kTokenVersion = 1;
constexpr std::size_t kTokenHeader = 256 * sizeof(std::int32_t);

std::uint32_t Byte(const std::string& content, std::size_t at) { return static_cast<unsigned char>(content[at]); }

std::uint32_t LittleEndian32(const std::string& content, std::size_t at) {
  return Byte(content, at) | Byte(content, at + 1) << 8 | Byte(content, at + 2) << 16 | Byte(content, at + 3) << 24;
}

std::uint32_t BigEndian32(const std::string& content, std::size_t at) {
  return Byte(content, at) << 24 | Byte(content, at + 1) << 16 | Byte(content, at + 2) << 8 | Byte(content, at + 3);
}

Tensor Bytes(protocol::DType type, protocol::Shape shape, const std::string& content, std::size_t begin) {
  Tensor tensor{type, std::move(shape), std::vector<std::byte>(content.size() - begin)};
  std::memcpy(tensor.bytes.data(), content.data() + begin, tensor.bytes.size());
  return tensor;
}

}  // namespace

std::string ReadWhole(const std::filesystem::path& file) {
  if (file.empty()) throw BadInput("data.file", "no file is named", "a text, a token file, or IDX images");
  std::string content = protocol::ReadTextFile(file, std::numeric_limits<std::int64_t>::max());
  if (content.empty()) throw BadInput(file.string(), "empty");
  return content;
}

Format FormatOf(const std::string& content) {
  if (content.size() >= 4 && LittleEndian32(content, 0) == static_cast<std::uint32_t>(kTokenMagic)) {
    return Format::kTokens;
  }
  return content.starts_with(std::string("\0\0\x08", 3)) ? Format::kIdx : Format::kText;
}

Tensor Stream(const std::filesystem::path& file, const std::string& content) {
  if (FormatOf(content) == Format::kText) {
    return Bytes(protocol::DType::kU8, {static_cast<std::int64_t>(content.size())}, content, 0);
  }
  if (content.size() < kTokenHeader) {
    throw BadInput(file.string() + ": header", std::to_string(content.size()) + " bytes", "a token file's has 1024");
  }
  if (LittleEndian32(content, 4) != static_cast<std::uint32_t>(kTokenVersion)) {
    throw BadInput(file.string() + ": version", std::to_string(LittleEndian32(content, 4)), "expected 1");
  }
  const std::uint64_t count = LittleEndian32(content, 8), held = content.size() - kTokenHeader;
  if (held != 2 * count) {
    throw BadInput(file.string() + ": count", std::to_string(count) + " tokens of 2 bytes in the header, " +
                                                  std::to_string(held) + " bytes in the file");
  }
  Tensor stream = Bytes(protocol::DType::kU16, {static_cast<std::int64_t>(count)}, content, kTokenHeader);
  static_assert(std::endian::native == std::endian::little, "token files are little endian");
  return stream;
}

Tensor Idx(const std::filesystem::path& file, const std::string& content, std::size_t dimensions) {
  const std::size_t header = 4 * (1 + dimensions);
  const std::uint32_t magic = 0x00000800u + static_cast<std::uint32_t>(dimensions);
  const std::string what = dimensions == 1 ? "IDX labels (magic 0x00000801)" : "IDX images (magic 0x00000803)";
  if (content.size() < header || BigEndian32(content, 0) != magic) {
    throw BadInput(file.string() + ": header", "not " + what);
  }
  protocol::Shape shape;
  std::uint64_t rest = content.size() - header;  // what later dimensions must multiply to, checked without overflow
  for (std::size_t d = dimensions; d > 0; --d) {
    const std::uint32_t extent = BigEndian32(content, 4 * d);
    shape.insert(shape.begin(), extent);
    if (extent == 0 || rest % extent != 0) rest = 0;
    if (rest != 0) rest /= extent;
  }
  if (rest != 1) {
    throw BadInput(file.string() + ": dimensions", protocol::ToString(shape) + " in the header, " +
                                                       std::to_string(content.size() - header) + " bytes in the file");
  }
  return Bytes(protocol::DType::kU8, shape, content, header);
}

}  // namespace lockstep::inputs
