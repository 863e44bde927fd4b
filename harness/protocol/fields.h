// A strict view of one JSON object: every key must be asked for, every value must have the type asked for.
//
//   Fields f(json, "request.json: plan");
//   plan.data = f.Int("data", 1, kMaxRanks);       // required, in [1, kMaxRanks]
//   plan.schedule = f.String("schedule", "1f1b");  // optional with a default
//   f.Done();                                      // refuses every key nobody asked for, naming the nearest right one
//
// Each refusal is a BadInput "FILE: path.to.field: problem; expected ...".
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace lockstep::protocol {

class Fields {
 public:
  // `where` names file and path for messages; throws when `value` is not an object. `value` must outlive the object.
  Fields(const nlohmann::json& value, std::string where);

  bool Has(const std::string& key);  // marks the key as known
  std::int64_t Int(const std::string& key, std::int64_t min, std::int64_t max);
  std::int64_t Int(const std::string& key, std::int64_t min, std::int64_t max, std::int64_t otherwise);
  double Number(const std::string& key);  // finite, or the strings "NaN", "Inf", "-Inf"
  double Number(const std::string& key, double otherwise);
  bool Bool(const std::string& key, bool otherwise);
  std::string String(const std::string& key);
  std::string String(const std::string& key, const std::string& otherwise);
  // One of `choices`; the refusal names the nearest.
  std::string Choice(const std::string& key, const std::vector<std::string>& choices, const std::string& otherwise);
  std::vector<std::int64_t> Ints(const std::string& key);  // required array of integers
  std::vector<std::int64_t> Ints(const std::string& key, const std::vector<std::int64_t>& otherwise);
  std::vector<std::string> Strings(const std::string& key, const std::vector<std::string>& otherwise);
  const nlohmann::json& Raw(const std::string& key);    // required, any type
  Fields Object(const std::string& key);                // required object
  std::vector<Fields> Objects(const std::string& key);  // array of objects; empty when absent
  const std::string& where() const { return where_; }
  std::string Path(const std::string& key) const;  // "FILE: path.to.key"
  [[noreturn]] void Refuse(const std::string& key, const std::string& problem, const std::string& expected) const;
  void Done() const;  // throws on keys nobody asked for

 private:
  const nlohmann::json* Find(const std::string& key);
  const nlohmann::json* value_;
  std::string where_;
  std::set<std::string> known_;
};

// "FILE: key", or "FILE: path.key" where `where` already names a field.
std::string FieldPath(const std::string& where, const std::string& key);

// Refuses `value` where it lacks a key that `complete` has, at any depth: in files that programs write, what is left
// out must not pass for a default.
void RequireKeys(const nlohmann::json& value, const nlohmann::json& complete, const std::string& where);

// Reads the field "protocol" and refuses any version but `version`.
void RequireProtocol(Fields& fields, int version);

// The nearest of `choices` by edit distance, or "" when none is near (distance above a third of the length, plus one).
std::string Nearest(const std::string& word, const std::vector<std::string>& choices);

}  // namespace lockstep::protocol
