// Column- and row-parallel linear layers, after Megatron-LM (arXiv 1909.08053, section 3).
//
// Column: this rank computes some of the output's features from all of the input's, so its part of the input's
// gradient is summed over the tensor ranks. Row: it computes a part of the sum for every output feature from some of
// the input's; the parts are summed, and the bias is added once, afterwards. On one tensor rank both are plain.
#pragma once

#include <optional>

#include "reference/trainer/model/layer.h"
#include "reference/trainer/model/linear.h"
#include "reference/trainer/model/tensor_rows.h"

namespace lockstep::trainer {

struct LinearSpec {
  ParameterUse weight;
  std::optional<ParameterUse> bias;
  std::int64_t in = 0, out = 0;                    // as held here
  std::optional<protocol::Activation> activation;  // applied to the result
  bool input_gradient = true;                      // false: nothing before this layer has parameters
  device::Communicator* group = nullptr;           // tensor ranks; null: the layer is whole on each
};

// What the weights' pass of either kind needs.
struct DeferredProduct {
  Operand d_y, x;
  Activations bias;  // (1, out): summed over the rows already
};

class ColumnParallelLinear : public Layer {
 public:
  ColumnParallelLinear(const RankContext& context, const LinearSpec& spec);
  Activations Forward(const MicroBatch& micro_batch, const Activations& x) override;
  Activations Backward(const MicroBatch& micro_batch, const Activations& d_y) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations& d_y) override;
  void WeightGradient(const MicroBatch& micro_batch) override;
  std::vector<LocalParameter*> Parameters() const override;
  void Clear() override;

 protected:
  struct Saved {
    Operand x;
    Activations before;  // what the activation's derivative is taken at
  };
  const RankContext& context_;
  LinearSpec spec_;
  Linear linear_;
  TensorRows rows_;
  Kept<Saved> kept_;
  Kept<DeferredProduct> deferred_;
};

class RowParallelLinear : public Layer {
 public:
  RowParallelLinear(const RankContext& context, const LinearSpec& spec);
  Activations Forward(const MicroBatch& micro_batch, const Activations& x) override;
  Activations Backward(const MicroBatch& micro_batch, const Activations& d_y) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations& d_y) override;
  void WeightGradient(const MicroBatch& micro_batch) override;
  std::vector<LocalParameter*> Parameters() const override;
  void Clear() override;

 protected:
  struct Saved {
    Operand x;
    Activations before;
  };
  Activations Finish(Activations sum, Activations* before) const;  // bias and activation after the reduction

  const RankContext& context_;
  LinearSpec spec_;
  Linear linear_;
  TensorRows rows_;
  Kept<Saved> kept_;
  Kept<DeferredProduct> deferred_;
};

}  // namespace lockstep::trainer
