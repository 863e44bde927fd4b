// Orders of work that more than one generator lays out over ranks: a line with split backwards, and the bidirectional
// order of DualPipe. They know no placement of stages beyond what they are told.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/schedule/generate.h"

namespace lockstep::schedule {

// One stage's line with I and W apart: `ahead` forwards, then forward and input gradient by turns. The first `deferred`
// input gradients are followed by no weight gradient; from then on each brings the oldest one that is due, and what is
// left stands at the end.
std::vector<protocol::Action> ZeroBubbleLine(std::int64_t stage, std::int64_t micro_batches, std::int64_t ahead,
                                             std::int64_t deferred);

// Where one of the two directions' work of a rank stands.
struct Direction {
  std::int64_t stage = 0;
  std::int64_t first_micro_batch = 0;
};

// A rank's line in the eight steps of DualPipe (github.com/deepseek-ai/DualPipe). Each of `near` and `far` is a stage
// of this rank; a micro-batch that comes in at `near` passes `depth - 1 - distance` further ranks, turns in the middle
// of the pipeline and comes back at `far`. `count` micro-batches of each. Needs count >= 2 depth.
std::vector<protocol::Action> BidirectionalLine(std::int64_t depth, std::int64_t distance, std::int64_t count,
                                                const Direction& near, const Direction& far);

// The closed form of that order, the same for both ways of placing it. Holds for F = I >= W and nothing saved by
// fusing.
std::optional<ClosedForm> BidirectionalForm(std::int64_t depth, const std::vector<std::int64_t>& distances,
                                            const Durations& durations);

}  // namespace lockstep::schedule
