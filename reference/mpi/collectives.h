// The collectives as steps of an operation.
//
// Reduction: each rank owns a run of the elements (its part), gets every other rank's values of it, adds them in rank
// order and, in an all-reduce, sends the sums back. In chunks, so that one chunk is added while the next one travels
// and the memory for values in flight is bounded: 2 * (size - 1) * kChunk elements.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "reference/mpi/message_engine.h"

namespace lockstep::mpi {

// Who takes part: ranks of the world in the group's order, and the tag of the group's collectives.
struct Members {
  std::vector<int> world;
  int rank = 0;
  int tag = 0;
  int size() const { return static_cast<int>(world.size()); }
};

// What is reduced: rank r's part is counts[r] elements of `whole` from the sum of the counts before it. The result of
// this rank's part goes to `part`, which may be its place in `whole`; with `everywhere`, `part` must be that place and
// all parts' results go to `whole` on every rank.
struct ReductionPlan {
  std::vector<std::int64_t> counts;
  const float* whole = nullptr;
  float* part = nullptr;
  float* everywhere = nullptr;  // `whole`, written to; null: results stay where they are
  device::Reduction reduction = device::Reduction::kSum;
};

void AddReduction(const Members& members, ReductionPlan plan, Operation& operation);
void AddAllGather(const Members& members, std::span<const std::int64_t> counts, const float* part, float* whole,
                  Operation& operation);
void AddBroadcast(const Members& members, std::int64_t n, float* x, int root, Operation& operation);
// all[r] = rank r's bytes. `mine` and `all` must stay until the operation has ended.
void AddGatherOfBytes(const Members& members, const std::string& mine, std::vector<std::string>& all,
                      Operation& operation);

}  // namespace lockstep::mpi
