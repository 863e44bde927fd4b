#include "harness/protocol/files.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/whole_file.h"

namespace lockstep::protocol {
namespace {

constexpr int kDeepest = 64;  // levels of nesting

using Json = nlohmann::json;

// Refuses what the library lets pass: duplicate keys (the last would win) and nesting without end.
class StrictEvents {
 public:
  explicit StrictEvents(const std::string& name) : name_(name) {}

  bool operator()(int depth, Json::parse_event_t event, const Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        if (depth >= kDeepest) throw BadInput(name_, "nested deeper than " + std::to_string(kDeepest) + " levels");
        if (event == Json::parse_event_t::object_start) keys_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!keys_.back().insert(parsed.get_ref<const std::string&>()).second) {
          throw BadInput(name_ + ": " + parsed.get_ref<const std::string&>(), "the key stands twice in one object");
        }
        break;
      default:
        break;
    }
    return true;
  }

 private:
  const std::string& name_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

}  // namespace

std::string ReadTextFile(const std::filesystem::path& path, std::uint64_t max_bytes) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw BadInput(path.string(), "no such file");
  if (std::filesystem::is_directory(status)) throw BadInput(path.string(), "is a folder", "expected a file");
  if (!std::filesystem::is_regular_file(status)) throw BadInput(path.string(), "not a regular file");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw BadInput(path.string(), "can't be opened");
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (error || size > max_bytes) {
    throw BadInput(path.string(), "holds " + std::to_string(size) + " bytes", "at most " + std::to_string(max_bytes));
  }
  std::string text(size, '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  if (file.gcount() != static_cast<std::streamsize>(size)) throw BadInput(path.string(), "can't be read to its end");
  return text;
}

void WriteFileWhole(const std::filesystem::path& path, const std::string& content, Durability durability) {
  WholeFile file(path);
  file.Append(content);
  file.Commit(durability);
}

void MakeFolder(const std::filesystem::path& path, const std::string& expected) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw BadInput(path.string(), "can't be made a folder (" + error.message() + ")", expected);
}

Json ReadJson(const std::filesystem::path& path) { return ParseJson(ReadTextFile(path), path.string()); }

Json ParseJson(const std::string& text, const std::string& name) {
  try {
    return Json::parse(text, StrictEvents(name));
  } catch (const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...": from the place on.
    const std::string what = error.what();
    const std::size_t place = what.find("] ");
    throw BadInput(name, "not JSON: " + (place == std::string::npos ? what : what.substr(place + 2)));
  }
}

void WriteJson(const std::filesystem::path& path, const Json& value, Durability durability) {
  WriteFileWhole(path, value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", durability);
}

Json NumberToJson(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Inf" : "-Inf";
  return value;
}

}  // namespace lockstep::protocol
