#include "reference/trainer/model/loss.h"

#include <utility>

namespace lockstep::trainer {

std::map<std::int64_t, double> LossSums::Take() {
  std::map<std::int64_t, double> sums;
  for (const auto& [index, losses] : rows_) sums[index] = device_.Sum(losses.size(), losses.data());
  rows_.clear();
  return sums;
}

CrossEntropy::CrossEntropy(const RankContext& context, const CrossEntropySpec& spec)
    : context_(context), spec_(spec), sums_(context.device) {
  if (spec_.vocabulary != nullptr && spec_.vocabulary->Size() == 1) spec_.vocabulary = nullptr;
}

const std::int32_t* CrossEntropy::Targets(const MicroBatch& micro_batch) const {
  // Where the classes are dealt out, every rank has all rows; otherwise its own.
  return micro_batch.classes.i32() + (spec_.vocabulary != nullptr ? 0 : micro_batch.local.begin);
}

void CrossEntropy::ReduceMaximum(Activations& statistics) {
  if (spec_.vocabulary == nullptr) return;
  spec_.vocabulary->AllReduce(statistics.width, statistics.data(), device::Reduction::kMax)->Wait();
}

void CrossEntropy::ReduceSums(Activations& statistics) {
  if (spec_.vocabulary == nullptr) return;
  float* sums = statistics.data() + statistics.width;
  spec_.vocabulary->AllReduce(2 * statistics.width, sums, device::Reduction::kSum)->Wait();
}

Activations CrossEntropy::Forward(const MicroBatch& micro_batch, const Activations& logits) {
  device::Device& device = context_.device;
  const std::int64_t rows = logits.rows;
  Saved saved{.logits = logits, .statistics = NewActivations(device, 3, rows)};
  Activations losses = NewActivations(device, 1, rows);
  if (rows > 0) {
    const std::int32_t* targets = Targets(micro_batch);
    float* maximum = saved.statistics.data();
    float* sum = maximum + rows;
    float* target = sum + rows;
    device.RowMax(rows, spec_.count, logits.data(), maximum);
    ReduceMaximum(saved.statistics);
    device.RowSumExp(rows, spec_.count, spec_.first, logits.data(), maximum, targets, sum, target);
    ReduceSums(saved.statistics);
    device.CrossEntropyLoss(rows, maximum, sum, target, targets, losses.data());
  }
  sums_.Put(micro_batch, std::move(losses));
  kept_.Put(micro_batch, std::move(saved));
  return {};
}

Activations CrossEntropy::InputGradient(const MicroBatch& micro_batch, const Activations&) {
  Saved saved = kept_.Take(micro_batch);
  const std::int64_t rows = saved.logits.rows;
  if (rows > 0) {  // the logits are this layer's alone by now: their gradient takes their place
    const float* maximum = saved.statistics.data();
    context_.device.CrossEntropyBackward(rows, spec_.count, spec_.first, saved.logits.data(), maximum, maximum + rows,
                                         Targets(micro_batch), micro_batch.scale);
  }
  return saved.logits;
}

Activations SquaredError::Forward(const MicroBatch& micro_batch, const Activations& y) {
  Activations losses = NewActivations(context_.device, 1, y.rows);
  Activations d_y = NewActivations(context_.device, y.rows, y.width);
  if (y.rows > 0) {
    const std::int64_t first = micro_batch.local.begin;
    context_.device.SquaredError(y.rows, y.width, y.data(), micro_batch.targets.f32() + first * y.width,
                                 micro_batch.mask.f32() + first, micro_batch.scale, losses.data(), d_y.data());
  }
  sums_.Put(micro_batch, std::move(losses));
  kept_.Put(micro_batch, std::move(d_y));
  return {};
}

Activations SquaredError::InputGradient(const MicroBatch& micro_batch, const Activations&) {
  return kept_.Take(micro_batch);
}

}  // namespace lockstep::trainer
