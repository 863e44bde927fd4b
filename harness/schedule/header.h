// The header of Lockstep's schedule files: see file.h for its form.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "harness/schedule/file.h"

namespace lockstep::schedule {

class Header {
 public:
  static std::string FirstLine();                   // "# lockstep schedule 1"
  static bool Begins(std::string_view first_line);  // any version: another one is refused when it is read
  static std::string Write(const Document& document);

  explicit Header(std::string where) : where_(std::move(where)) {}
  void Read(const std::string& line, const std::string& place);  // one "# key: value"; throws BadInput
  // Sets all but the lines of actions, which must be there already. Throws BadInput.
  void Apply(Document* document) const;

 private:
  struct Value {
    std::string text, place;
  };
  const Value& Required(const std::string& key) const;
  std::int64_t Number(const std::string& key) const;

  std::string where_;
  std::map<std::string, Value> values_;
};

}  // namespace lockstep::schedule
