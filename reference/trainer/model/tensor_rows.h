// The collectives around tensor-parallel pairs, over rows of activations.
//
// A pair is a column-parallel and a row-parallel layer. Between pairs each rank holds all rows (then an all-reduce
// closes a pair), or its run of them (sequence parallel: a reduce-scatter closes a pair, an all-gather opens it).
// On one tensor rank nothing happens and nothing is copied.
#pragma once

#include "reference/trainer/activations.h"
#include "reference/trainer/loader.h"

namespace lockstep::trainer {

class TensorRows {
 public:
  // group null or of size 1: no tensor parallelism.
  TensorRows(device::Device& device, device::Communicator* group, bool sequence_parallel)
      : device_(&device),
        group_(group != nullptr && group->Size() > 1 ? group : nullptr),
        sequence_parallel_(sequence_parallel) {}

  bool Parallel() const { return group_ != nullptr; }
  // This rank's rows -> all rows.
  Activations Gather(const MicroBatch& micro_batch, const Activations& local) const;

  struct Pending {
    Activations result, source;  // source stays until the work is done
    device::WorkHandle work;
    Activations Wait();
  };
  // Each rank's part of a sum over all rows -> the sum, on this rank's rows. `partial` is overwritten.
  Pending StartReduce(const MicroBatch& micro_batch, Activations partial) const;
  Activations Reduce(const MicroBatch& micro_batch, Activations partial) const {
    return StartReduce(micro_batch, std::move(partial)).Wait();
  }

 private:
  device::Device* device_;
  device::Communicator* group_;
  bool sequence_parallel_;
};

}  // namespace lockstep::trainer
