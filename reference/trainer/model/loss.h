// The last layer of a model: sums of losses, and the gradient of their mean over the global batch.
//
// Cross-entropy works on a shard of the vocabulary: each tensor rank contributes its largest logit, its sum of
// exponentials and the target's logit if it holds it, so whole rows of logits are never gathered.
#pragma once

#include <map>

#include "reference/trainer/context.h"
#include "reference/trainer/model/layer.h"

namespace lockstep::trainer {

// Sums of losses by micro-batch, taken from the device at the end of a step.
class LossSums {
 public:
  explicit LossSums(device::Device& device) : device_(device) {}
  void Put(const MicroBatch& micro_batch, Activations losses) { rows_[micro_batch.index] = std::move(losses); }
  std::map<std::int64_t, double> Take();

 private:
  device::Device& device_;
  std::map<std::int64_t, Activations> rows_;
};

struct CrossEntropySpec {
  device::Communicator* vocabulary = nullptr;  // ranks over which the classes are dealt; null: all classes here
  std::int64_t first = 0, count = 0;           // classes held here
};

class CrossEntropy : public LossLayer {
 public:
  CrossEntropy(const RankContext& context, const CrossEntropySpec& spec);
  Activations Forward(const MicroBatch& micro_batch, const Activations& logits) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations&) override;
  std::map<std::int64_t, double> TakeLosses() override { return sums_.Take(); }
  bool SplitOverTensor() const override { return spec_.vocabulary == nullptr && context_.sequence_parallel(); }
  void Clear() override { kept_.Clear(); }

 protected:
  struct Saved {
    Activations logits;
    Activations statistics;  // (3, rows): largest logit, sum of exponentials, the target's logit
  };
  // Largest logits over the vocabulary's ranks; sums of exponentials and targets' logits.
  virtual void ReduceMaximum(Activations& statistics);
  virtual void ReduceSums(Activations& statistics);
  const std::int32_t* Targets(const MicroBatch& micro_batch) const;

  const RankContext& context_;
  CrossEntropySpec spec_;
  LossSums sums_;
  Kept<Saved> kept_;
};

class SquaredError : public LossLayer {
 public:
  explicit SquaredError(const RankContext& context) : context_(context), sums_(context.device) {}
  Activations Forward(const MicroBatch& micro_batch, const Activations& y) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations&) override;
  std::map<std::int64_t, double> TakeLosses() override { return sums_.Take(); }
  bool SplitOverTensor() const override { return context_.sequence_parallel(); }
  void Clear() override { kept_.Clear(); }

 private:
  const RankContext& context_;
  LossSums sums_;
  Kept<Activations> kept_;  // gradient of y: the device computes it with the loss
};

}  // namespace lockstep::trainer
