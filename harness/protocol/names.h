// Enumerations and their spelling in files: one table each, so that reading and writing can't drift apart.
#pragma once

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "harness/protocol/fields.h"

namespace lockstep::protocol {

template <typename Enum>
struct Spelling {
  Enum value;
  std::string_view name;
};

template <typename Enum, std::size_t N>
std::string_view NameIn(const std::array<Spelling<Enum>, N>& table, Enum value) {
  for (const Spelling<Enum>& entry : table) {
    if (entry.value == value) return entry.name;
  }
  throw std::logic_error("an enumeration's value without a name");
}

// The value of a field that must be one of the table's names.
template <typename Enum, std::size_t N>
Enum ChoiceIn(const std::array<Spelling<Enum>, N>& table, Fields& fields, const std::string& key, Enum otherwise) {
  std::vector<std::string> names;
  for (const Spelling<Enum>& entry : table) names.emplace_back(entry.name);
  const std::string name = fields.Choice(key, names, std::string(NameIn(table, otherwise)));
  for (const Spelling<Enum>& entry : table) {
    if (entry.name == name) return entry.value;
  }
  throw std::logic_error("a name outside its table");
}

}  // namespace lockstep::protocol
