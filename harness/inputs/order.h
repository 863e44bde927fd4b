// Which samples each step takes, and which of a sample's targets count when they are uneven.
//
// The pattern of valid targets is made for what it must catch: over the positions of a batch it falls, so that no two
// contiguous runs (replicas, micro-batches) have the same total where the sizes allow it, and a mean of means shows.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "harness/protocol/tensor.h"

namespace lockstep::inputs {

// (steps, global_batch) I64. Each epoch is a new permutation of all samples. With keep_tail the last batch of an epoch
// holds what is left and its row ends in -1; without, only full batches are made (needs samples >= global_batch).
protocol::Tensor Order(std::int64_t samples, std::int64_t global_batch, std::int64_t steps, bool keep_tail,
                       std::uint64_t seed);

// Where a sample stands in the batch that takes it first; a sample that no step takes has none.
struct Place {
  std::int64_t step = 1, position = 0, batch = 1;  // batch: samples in that step
};
std::vector<std::optional<Place>> FirstPlaces(const protocol::Tensor& order, std::int64_t samples);

// gpt: how many of `sequence` targets count. From all of them at position 0 down to 20-40% (by step), and 1 for the
// last of three or more.
std::int64_t ValidTargets(std::int64_t sequence, const Place& place);

// mlp: whether the sample counts, when `invalid` of the batch do not. They grow denser towards the end.
bool SampleCounts(const Place& place, std::int64_t invalid);

}  // namespace lockstep::inputs
