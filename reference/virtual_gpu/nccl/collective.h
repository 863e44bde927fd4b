// A collective of one rank, step by step, over the slots of the shared memory.
//
// A step is work on this rank's own slot or result range, and on what the others wrote in the steps before; then the
// rank arrives, and the next step begins when all have. Steps are counted over a communicator's whole life, the same on
// every rank; slots and results have two halves, used in turn, so that a rank may write while a slower one still reads
// what was there a step ago. At the end of its first step every rank has seen what the others call, and all of them
// find the same difference.
//
// Sums are in rank order for every element, whichever rank adds it: all get the same bytes.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/nccl/operation.h"
#include "reference/virtual_gpu/nccl/region.h"

namespace lockstep::virtual_gpu::nccl {

class Collective final : public Operation {
 public:
  // `steps` is the rank's count of steps in this communicator, and grows with this operation's.
  Collective(Region& region, int rank, const Call& call, std::uint64_t& steps);

  bool Progress() override;
  bool Done() const override { return done_; }
  bool Met() const override { return step_ > 0; }
  bool Needs(int) const override { return !done_; }
  const Description& description() const override { return call_.description; }

 private:
  struct Range {
    std::int64_t begin = 0, length = 0;  // elements
  };

  std::int64_t count() const { return static_cast<std::int64_t>(call_.description.count); }
  Range ChunkAt(std::int64_t chunk) const;  // of what `count` counts
  Range Share(Range chunk) const;           // this rank's part of a chunk, for those that share the adding
  void Work();
  void CopyIn(Range chunk);
  void ReduceFromSlots(Range in_slot, void* out) const;
  void Take(Range chunk);        // a chunk of the last step, from the slots
  void CopyResult(Range chunk);  // a chunk of the last step, from the results
  void Arrive();
  void CheckAgreement() const;

  Region& region_;
  int rank_, ranks_;
  Call call_;
  std::uint64_t& steps_;
  std::int64_t size_, chunk_, chunks_;  // bytes an element; elements a chunk; chunks, at least one
  bool shared_;                         // ranks share the adding, and there is one step more
  std::int64_t step_ = -1, last_;       // of this operation
  bool done_ = false;
};

}  // namespace lockstep::virtual_gpu::nccl
