// The only file that knows toml++: TOML arrives as JSON, so that one strict reader serves both.
#include <toml++/toml.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {
namespace {

nlohmann::json ToJson(const toml::node& node, const std::string& name) {
  if (const toml::table* table = node.as_table()) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [key, value] : *table) object[std::string(key.str())] = ToJson(value, name);
    return object;
  }
  if (const toml::array* array = node.as_array()) {
    nlohmann::json list = nlohmann::json::array();
    for (const toml::node& value : *array) list.push_back(ToJson(value, name));
    return list;
  }
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return NumberToJson(value->get());
  if (const auto* value = node.as_boolean()) return value->get();
  std::ostringstream where;
  where << name << ":" << node.source().begin.line;
  throw BadInput(where.str(), "a date or time", "a string, number, boolean, array or table");
}

}  // namespace

nlohmann::json ReadToml(const std::filesystem::path& path) { return ParseToml(ReadTextFile(path), path.string()); }

nlohmann::json ParseToml(const std::string& text, const std::string& name) {
  try {
    const toml::table table = toml::parse(text);
    return ToJson(table, name);
  } catch (const toml::parse_error& error) {
    std::ostringstream what;
    what << "not TOML: line " << error.source().begin.line << ", column " << error.source().begin.column << ": "
         << error.description();
    throw BadInput(name, what.str());
  }
}

}  // namespace lockstep::protocol
