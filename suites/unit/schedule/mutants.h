// Ways to spoil a valid schedule, each harmful by construction. One that finds no place for its harm gives nothing.
#pragma once

#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

struct Mutation {
  std::string name;     // "drops a weight gradient"
  bool with_transfers;  // whether it needs messages in the text
  std::function<std::optional<protocol::Schedule>(const protocol::Schedule&, std::mt19937*)> spoil;
};

const std::vector<Mutation>& Mutations();

}  // namespace lockstep::schedule
