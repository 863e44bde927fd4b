// A pause that the trainer makes by sleeping, so that a test knows who was slow. PROTOCOL.md, "Request".
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/protocol/plan.h"
#include "harness/protocol/schedule.h"

namespace lockstep::protocol {

class Fields;

struct Delay {
  std::int64_t rank = 0;
  std::string operation;  // one of DelayOperations()
  double seconds = 0;
  std::int64_t step = 0;          // 0: every step
  std::int64_t micro_batch = -1;  // -1: every one, where the operation has one
  bool operator==(const Delay&) const = default;
};
const std::vector<std::string>& DelayOperations();  // "F", "B", "I", "W", "send", "data", "optimizer", "host"

// How often its rank sleeps in a step that it is of; 0: it never comes, because the rank's line has no such action.
std::int64_t SleepsInStep(const Delay& delay, const Plan& plan, const Schedule& schedule);

// The array "delays". Throws BadInput: an unknown operation, a rank that the plan has not, ...
std::vector<Delay> DelaysFromFields(Fields& fields, std::int64_t world_size);
nlohmann::json DelayToJson(const Delay& delay);

}  // namespace lockstep::protocol
