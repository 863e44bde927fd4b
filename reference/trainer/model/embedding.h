// gpt's first layer: wte[token] + wpe[position]. The vocabulary is dealt over the tensor ranks, each of which adds
// zeros for tokens that others hold; positions are added once, after the sum.
#pragma once

#include "reference/trainer/context.h"
#include "reference/trainer/model/layer.h"
#include "reference/trainer/model/tensor_rows.h"

namespace lockstep::trainer {

class Embedding : public Layer {
 public:
  Embedding(const RankContext& context, ParameterUse tokens, ParameterUse positions);
  Activations Forward(const MicroBatch& micro_batch, const Activations&) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations& d_y) override;
  void WeightGradient(const MicroBatch& micro_batch) override;
  std::vector<LocalParameter*> Parameters() const override { return {&tokens_.parameter(), &positions_.parameter()}; }
  void Clear() override { gradients_.Clear(); }

 private:
  const RankContext& context_;
  ParameterUse tokens_, positions_;
  TensorRows rows_;
  Kept<Activations> gradients_;  // of what Forward returned
};

}  // namespace lockstep::trainer
