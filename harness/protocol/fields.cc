#include "harness/protocol/fields.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/protocol/bad_input.h"

namespace lockstep::protocol {
namespace {

std::string Quoted(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "\"" : ", \"") + word + "\"";
  return text;
}

// What stands there, for messages: a scalar as it is, a container by its type.
std::string Shown(const nlohmann::json& value) {
  if (value.is_structured()) return std::string("an ") + value.type_name();
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<std::int64_t> AsInteger(const nlohmann::json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<std::int64_t>();
  return std::nullopt;
}

// Letters changed, added, left out, or two neighbours swapped (optimal string alignment).
std::int64_t EditDistance(const std::string& a, const std::string& b) {
  const std::size_t columns = b.size() + 1;
  std::vector<std::int64_t> table((a.size() + 1) * columns);
  const auto at = [&](std::size_t i, std::size_t j) -> std::int64_t& { return table[i * columns + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        at(i, j) = static_cast<std::int64_t>(i + j);
        continue;
      }
      const std::int64_t changed = a[i - 1] == b[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + changed});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
      }
    }
  }
  return table.back();
}

}  // namespace

Fields::Fields(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {
  if (!value.is_object()) throw BadInput(where_, "is " + Shown(value), "expected an object");
}

const nlohmann::json* Fields::Find(const std::string& key) {
  known_.insert(key);
  const auto found = value_->find(key);
  return found == value_->end() ? nullptr : &*found;
}

std::string FieldPath(const std::string& where, const std::string& key) {
  return where + (where.find(": ") != std::string::npos ? "." : ": ") + key;
}

std::string Fields::Path(const std::string& key) const { return FieldPath(where_, key); }

void Fields::Refuse(const std::string& key, const std::string& problem, const std::string& expected) const {
  throw BadInput(Path(key), problem, expected);
}

bool Fields::Has(const std::string& key) { return Find(key) != nullptr; }

const nlohmann::json& Fields::Raw(const std::string& key) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) Refuse(key, "is missing", "expected a value");
  return *value;
}

std::int64_t Fields::Int(const std::string& key, std::int64_t min, std::int64_t max) {
  const nlohmann::json& value = Raw(key);
  const std::optional<std::int64_t> number = AsInteger(value);
  if (!number || *number < min || *number > max) {
    Refuse(key, "is " + Shown(value), "expected an integer from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return *number;
}

std::int64_t Fields::Int(const std::string& key, std::int64_t min, std::int64_t max, std::int64_t otherwise) {
  return Has(key) ? Int(key, min, max) : otherwise;
}

double Fields::Number(const std::string& key) {
  const nlohmann::json& value = Raw(key);
  if (value.is_number()) return value.get<double>();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (value == "Inf") return std::numeric_limits<double>::infinity();
  if (value == "-Inf") return -std::numeric_limits<double>::infinity();
  Refuse(key, "is " + Shown(value), "expected a number, or \"NaN\", \"Inf\", \"-Inf\"");
}

double Fields::Number(const std::string& key, double otherwise) { return Has(key) ? Number(key) : otherwise; }

bool Fields::Bool(const std::string& key, bool otherwise) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) Refuse(key, "is " + Shown(*value), "expected true or false");
  return value->get<bool>();
}

std::string Fields::String(const std::string& key) {
  const nlohmann::json& value = Raw(key);
  if (!value.is_string()) Refuse(key, "is " + Shown(value), "expected a string");
  return value.get<std::string>();
}

std::string Fields::String(const std::string& key, const std::string& otherwise) {
  return Has(key) ? String(key) : otherwise;
}

std::string Fields::Choice(const std::string& key, const std::vector<std::string>& choices,
                           const std::string& otherwise) {
  const std::string word = String(key, otherwise);
  if (std::find(choices.begin(), choices.end(), word) != choices.end()) return word;
  const std::string nearest = Nearest(word, choices);
  const std::string hint = nearest.empty() ? "" : " (nearest: \"" + nearest + "\")";
  Refuse(key, "is \"" + word + "\"", "expected one of " + Quoted(choices) + hint);
}

std::vector<std::int64_t> Fields::Ints(const std::string& key) {
  const nlohmann::json& value = Raw(key);
  if (!value.is_array()) Refuse(key, "is " + Shown(value), "expected an array of integers");
  std::vector<std::int64_t> numbers;
  numbers.reserve(value.size());
  for (const nlohmann::json& element : value) {
    const std::optional<std::int64_t> number = AsInteger(element);
    if (!number) Refuse(key, "holds " + Shown(element), "expected an array of integers");
    numbers.push_back(*number);
  }
  return numbers;
}

std::vector<std::int64_t> Fields::Ints(const std::string& key, const std::vector<std::int64_t>& otherwise) {
  return Has(key) ? Ints(key) : otherwise;
}

std::vector<std::string> Fields::Strings(const std::string& key, const std::vector<std::string>& otherwise) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_array()) Refuse(key, "is " + Shown(*value), "expected an array of strings");
  std::vector<std::string> words;
  for (const nlohmann::json& element : *value) {
    if (!element.is_string()) Refuse(key, "holds " + Shown(element), "expected an array of strings");
    words.push_back(element.get<std::string>());
  }
  return words;
}

Fields Fields::Object(const std::string& key) {
  const nlohmann::json& value = Raw(key);
  if (!value.is_object()) Refuse(key, "is " + Shown(value), "expected an object");
  return Fields(value, Path(key));
}

std::vector<Fields> Fields::Objects(const std::string& key) {
  std::vector<Fields> objects;
  const nlohmann::json* value = Find(key);
  if (value == nullptr) return objects;
  if (!value->is_array()) Refuse(key, "is " + Shown(*value), "expected an array of objects");
  const std::string path = Path(key);
  for (std::size_t i = 0; i < value->size(); ++i)
    objects.emplace_back((*value)[i], path + "[" + std::to_string(i) + "]");
  return objects;
}

void Fields::Done() const {
  for (const auto& [key, value] : value_->items()) {
    if (known_.contains(key)) continue;
    const std::vector<std::string> choices(known_.begin(), known_.end());
    const std::string nearest = Nearest(key, choices);
    Refuse(key, "unknown key", nearest.empty() ? "expected one of " + Quoted(choices) : "expected \"" + nearest + "\"");
  }
}

void RequireKeys(const nlohmann::json& value, const nlohmann::json& complete, const std::string& where) {
  if (!value.is_object()) throw BadInput(where, "is " + Shown(value), "expected an object");
  for (const auto& [key, part] : complete.items()) {
    const auto found = value.find(key);
    if (found == value.end()) throw BadInput(FieldPath(where, key), "is missing", "expected a value");
    if (part.is_object()) RequireKeys(*found, part, FieldPath(where, key));
  }
}

void RequireProtocol(Fields& fields, int version) {
  const std::int64_t is = fields.Int("protocol", 0, 1 << 20);
  if (is != version) fields.Refuse("protocol", "is " + std::to_string(is), "expected " + std::to_string(version));
}

std::string Nearest(const std::string& word, const std::vector<std::string>& choices) {
  std::string best;
  std::int64_t best_distance = std::numeric_limits<std::int64_t>::max();
  for (const std::string& choice : choices) {
    const std::int64_t allowed = std::ssize(choice) / 3 + 1;
    if (std::abs(std::ssize(choice) - std::ssize(word)) > allowed) continue;  // also keeps long words cheap
    const std::int64_t distance = EditDistance(word, choice);
    if (distance <= allowed && distance < best_distance) {
      best = choice;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace lockstep::protocol
