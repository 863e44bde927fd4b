// A gpt under tensor parallelism whose ranks no longer hold the same activations between layers.
//
// Right tensor ranks all hold the residual stream of one device. Where they draw masks of their own, or leave out a
// sum, each has a stream of its own, and the loss is made of all of them: the heads, features and classes of a rank
// follow from its stream. Forward only, by the oracle's loops.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/checks/support/replay.h"

namespace lockstep::checks {

struct TensorStreams {
  std::vector<std::uint64_t> seeds;  // of the dropout masks, by tensor rank
  bool row_sums = true;              // the parts of row-parallel layers are added up over the ranks
};

// Mean loss of the step's batch.
double LossOf(const TensorStreams& streams, const Replay& replay);

}  // namespace lockstep::checks
