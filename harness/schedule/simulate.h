// When each action of a schedule runs, in exact integer time, and what that costs: idle time, memory, the critical
// path.
//
// Idle time has two readings, and "zero bubble" is a statement about the second: *makespan idle* is the step's time
// less a rank's busy time; *span idle* is from a rank's first operation to its last, less its busy time. Time in
// communication is not busy. A micro-batch's activations live on a stage from the start of its F to the end of its B,
// or of its W; with RECOMPUTE only the stage's input lives in between.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/schedule/execution.h"

namespace lockstep::schedule {

struct RankFigures {
  std::int64_t busy = 0, makespan_idle = 0, span_idle = 0;
  std::int64_t first_start = 0, last_end = 0;
  std::int64_t peak_activations = 0;  // micro-batches of stages that are live at once
  std::int64_t peak_bytes = 0;
  bool operator==(const RankFigures&) const = default;
};

struct Step {  // of the critical path
  std::size_t rank = 0, position = 0;
  std::int64_t wait = 0;  // ticks between the end of the step before and this one's start: a message's way
};

struct Simulation {
  std::int64_t makespan = 0;
  std::vector<RankFigures> ranks;
  std::vector<std::vector<Span>> timeline;  // [rank][position]
  std::vector<Step> critical_path;          // from the beginning to the end of the step
};

// `schedule` has passed Verify() on these channels.
Simulation Simulate(const protocol::Schedule& schedule, const Costs& costs, const Channels& channels);

}  // namespace lockstep::schedule
