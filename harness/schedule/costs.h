// How long operations take and how much they hold, in whole ticks and bytes: what a simulation needs beside a schedule.
// A tick is whatever the user measures in. A list has one number for all stages, or one a stage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

using PerStage = std::vector<std::int64_t>;

struct Costs {
  PerStage forward{1}, input_gradient{1}, weight_gradient{1};
  PerStage backward;   // B; empty: input and weight gradient
  PerStage fused;      // a forward and a backward at once, by the forward's stage; empty: the sum of both
  PerStage recompute;  // empty: as long as the forward
  PerStage all_reduce{0}, gather{0}, reshard{0}, optimizer{0};
  PerStage activation_bytes{1};  // of a micro-batch, from its forward to its last backward
  PerStage message_bytes{0};     // between stage s and s + 1, either way
  std::int64_t latency = 0;      // of a link between two ranks
  std::int64_t bandwidth = 0;    // of a link, bytes a tick; 0: without limit
  bool operator==(const Costs&) const = default;
};

// A field of Costs by the name that files and options have for it.
struct CostField {
  std::string name;      // "input_gradient"
  std::string sentence;  // what it is, for people
  PerStage Costs::*list = nullptr;
  std::int64_t Costs::*number = nullptr;
};
const std::vector<CostField>& CostFields();

std::int64_t At(const PerStage& list, std::int64_t stage);  // list[0] where it has one number

std::int64_t Duration(const Costs& costs, const protocol::Action& action);
std::int64_t FusedDuration(const Costs& costs, const protocol::Action& first, const protocol::Action& second);
// Ticks that a message between stage s and s + 1 keeps its link busy; its latency comes on top.
std::int64_t TransferTicks(const Costs& costs, std::int64_t stage);

inline constexpr std::int64_t kMostTicks = 1'000'000'000;  // of one operation, so that sums stay exact

}  // namespace lockstep::schedule
