#include "harness/protocol/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/mapped_file.h"
#include "harness/protocol/whole_file.h"

namespace lockstep::protocol {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // bytes; the specification's limit
constexpr std::size_t kPrefix = 8;                 // bytes: the header's length

std::uint64_t LittleEndian64(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = kPrefix; i-- > 0;) value = value << 8 | static_cast<std::uint64_t>(bytes[i]);
  return value;
}

std::int64_t ElementsOf(const Shape& shape, const std::string& where) {
  try {
    return ElementCount(shape);
  } catch (const std::overflow_error& error) {
    throw BadInput(where + ": shape", error.what());
  }
}

// One tensor's entry; `data` is everything after the header.
std::pair<SafetensorsFile::Entry, std::size_t> ParseEntry(const nlohmann::json& value, const std::string& where,
                                                          std::span<const std::byte> data) {
  Fields fields(value, where);
  const std::string type_name = fields.String("dtype");
  const Shape shape = fields.Ints("shape");
  const std::vector<std::int64_t> offsets = fields.Ints("data_offsets");
  fields.Done();
  const std::optional<DType> dtype = DTypeFromName(type_name);
  if (!dtype)
    fields.Refuse("dtype", "is \"" + type_name + "\"", "expected an element type of PROTOCOL.md (F64, F32, BF16, ...)");
  if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || offsets[1] > std::ssize(data)) {
    fields.Refuse("data_offsets", "are " + ToString(offsets),
                  "expected [begin, end] within " + std::to_string(data.size()) + " bytes");
  }
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(ElementsOf(shape, where), static_cast<std::int64_t>(SizeOf(*dtype)), &bytes) ||
      bytes != offsets[1] - offsets[0]) {
    fields.Refuse("data_offsets", "span " + std::to_string(offsets[1] - offsets[0]) + " bytes",
                  "expected those of " + type_name + " " + ToString(shape));
  }
  const auto begin = static_cast<std::size_t>(offsets[0]);
  return {{*dtype, shape, data.subspan(begin, static_cast<std::size_t>(bytes))}, begin};
}

// Refuses overlaps, holes and trailing bytes: sorted by place, each tensor must begin where the last one ended.
void CheckCoverage(std::vector<std::pair<std::size_t, std::pair<std::size_t, std::string>>> places, std::size_t size,
                   const std::string& name) {
  std::sort(places.begin(), places.end());
  std::size_t end = 0;
  for (const auto& [begin, rest] : places) {
    const auto& [stop, tensor] = rest;
    if (begin != end) {
      throw BadInput(name + ": " + tensor, begin < end ? "overlaps the tensor before it" : "a hole stands before it",
                     "expected data_offsets that begin at " + std::to_string(end));
    }
    end = stop;
  }
  if (end != size) {
    throw BadInput(name, std::to_string(size - end) + " bytes belong to no tensor",
                   "expected data that ends with the last tensor");
  }
}

// The header's text, checked for length and place.
std::string HeaderOf(std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.size() < kPrefix)
    throw BadInput(name, "holds " + std::to_string(bytes.size()) + " bytes", "expected at least 8");
  const std::uint64_t length = LittleEndian64(bytes);
  if (length > kMaxHeader || length > bytes.size() - kPrefix) {
    throw BadInput(name, "header length " + std::to_string(length) + " is more than the file or 100 MB",
                   "expected a whole safetensors file");
  }
  std::string header(reinterpret_cast<const char*>(bytes.data()) + kPrefix, length);
  if (header.empty() || header.front() != '{') throw BadInput(name, "the header does not start with '{'");
  return header;
}

}  // namespace

struct SafetensorsFile::Impl {
  MappedFile file;  // empty for bytes in memory
  std::string name;
  std::map<std::string, Entry> entries;
  std::map<std::string, std::string> metadata;

  void Parse(std::span<const std::byte> bytes);
};

void SafetensorsFile::Impl::Parse(std::span<const std::byte> bytes) {
  const std::string text = HeaderOf(bytes, name);
  const nlohmann::json header = ParseJson(text, name + ": header");
  const std::span<const std::byte> data = bytes.subspan(kPrefix + text.size());
  std::vector<std::pair<std::size_t, std::pair<std::size_t, std::string>>> places;
  for (const auto& [key, value] : header.items()) {
    const std::string where = name + ": " + key;
    if (key == "__metadata__") {
      if (!value.is_object()) throw BadInput(where, "is not an object", "expected an object of strings");
      for (const auto& [word, content] : value.items()) {
        if (!content.is_string())
          throw BadInput(where + "." + word, "is not a string", "expected an object of strings");
        metadata[word] = content.get<std::string>();
      }
      continue;
    }
    auto [entry, begin] = ParseEntry(value, where, data);
    places.emplace_back(begin, std::pair(begin + entry.bytes.size(), key));
    entries.emplace(key, std::move(entry));
  }
  CheckCoverage(std::move(places), data.size(), name);
}

SafetensorsFile::SafetensorsFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;
SafetensorsFile::~SafetensorsFile() = default;

SafetensorsFile SafetensorsFile::Open(const std::filesystem::path& path) {
  auto impl = std::make_unique<Impl>();
  impl->file = MappedFile(path);
  impl->name = path.string();
  impl->Parse(impl->file.bytes());
  return SafetensorsFile(std::move(impl));
}

SafetensorsFile SafetensorsFile::Parse(std::span<const std::byte> bytes, const std::string& name) {
  auto impl = std::make_unique<Impl>();
  impl->name = name;
  impl->Parse(bytes);
  return SafetensorsFile(std::move(impl));
}

const std::string& SafetensorsFile::name() const { return impl_->name; }
const std::map<std::string, SafetensorsFile::Entry>& SafetensorsFile::entries() const { return impl_->entries; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return impl_->metadata; }
bool SafetensorsFile::Contains(const std::string& tensor) const { return impl_->entries.contains(tensor); }

const SafetensorsFile::Entry& SafetensorsFile::At(const std::string& tensor) const {
  const auto found = impl_->entries.find(tensor);
  if (found == impl_->entries.end()) throw BadInput(impl_->name + ": " + tensor, "no such tensor in the file");
  return found->second;
}

Tensor SafetensorsFile::Load(const std::string& tensor) const {
  const Entry& entry = At(tensor);
  return {entry.dtype, entry.shape, std::vector<std::byte>(entry.bytes.begin(), entry.bytes.end())};
}

void WriteSafetensors(const std::filesystem::path& path, const std::map<std::string, Tensor>& tensors,
                      const std::map<std::string, std::string>& metadata, Durability durability) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name == "__metadata__" ||
        static_cast<std::size_t>(tensor.size()) * SizeOf(tensor.dtype) != tensor.bytes.size()) {
      throw std::logic_error("WriteSafetensors: tensor " + name +
                             " has a forbidden name or not the bytes of its shape");
    }
    const std::size_t end = offset + tensor.bytes.size();
    header[name] = {{"dtype", NameOf(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // data starts at a multiple of 8, as the specification asks
  std::string prefix;
  for (std::size_t i = 0; i < kPrefix; ++i) prefix += static_cast<char>(text.size() >> (8 * i) & 0xff);
  WholeFile file(path);
  file.Append(prefix + text);
  for (const auto& [name, tensor] : tensors) file.Append(tensor.bytes);
  file.Commit(durability);
}

}  // namespace lockstep::protocol
