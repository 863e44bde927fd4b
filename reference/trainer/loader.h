// Which samples a micro-batch has, and their numbers on the device.
//
// The rule is protocol::MicroBatchRun over the rows of `order`; dropout keys are a function of the global sample. Each
// of these is virtual, because getting them wrong is a way to train something else (suites/faults).
#pragma once

#include <cstdint>
#include <vector>

#include "reference/trainer/activations.h"
#include "reference/trainer/context.h"

namespace lockstep::trainer {

struct MicroBatch {
  std::int64_t step = 0, index = 0;
  std::vector<std::int64_t> samples;  // global ids
  std::int64_t rows = 0;              // positions (gpt) or samples (mlp); 0 in a short tail batch is possible
  std::int64_t valid = 0;             // valid targets among them
  float scale = 0;                    // of the loss in the gradient: 1 / N
  protocol::Run local;  // rows that this rank holds between tensor-parallel pairs; all, unless sequence parallel
  std::vector<std::int64_t> row_counts;  // local.size of each tensor rank

  // On the device, where the rank's stages need them.
  device::Buffer tokens, positions;  // (rows) and (local.size) int32: gpt's first stage
  Activations inputs;                // (local.size, D_0): mlp's first stage
  device::Buffer classes;            // (rows) int32, -1: not valid: cross-entropy's last stage
  device::Buffer targets, mask;      // (rows, D_L), (rows) fp32: squared error's last stage
};

void FreeInputs(MicroBatch& micro_batch);   // what the first stage's forward or backward read
void FreeTargets(MicroBatch& micro_batch);  // what the last stage's did

class DataLoader {
 public:
  explicit DataLoader(const RankContext& context);
  virtual ~DataLoader() = default;

  // Global ids of this replica's micro-batch, in order.
  virtual std::vector<std::int64_t> Samples(std::int64_t step, std::int64_t micro_batch) const;
  // Valid targets of one sample.
  virtual std::int64_t ValidTargets(std::int64_t sample) const;
  virtual std::uint64_t RowKey(std::int64_t step, std::int64_t sample, std::uint64_t site, std::int64_t position) const;

  // The micro-batch without its numbers: samples, rows, valid targets.
  MicroBatch Describe(std::int64_t step, std::int64_t micro_batch) const;
  void FillInputs(MicroBatch& micro_batch) const;   // for the model's first stage
  void FillTargets(MicroBatch& micro_batch) const;  // for its last
  // Keys of this rank's rows at a dropout site, on the device.
  device::Buffer RowKeys(const MicroBatch& micro_batch, std::uint64_t site) const;

 protected:
  const RankContext& context_;

 private:
  std::int32_t Token(std::int64_t sample, std::int64_t position, bool target) const;
  device::Buffer Upload(const void* data, std::size_t bytes) const;

  bool gpt_, stream_;
  std::int64_t rows_per_sample_;
};

}  // namespace lockstep::trainer
