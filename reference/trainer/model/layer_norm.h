// Layer normalisation of rows, and the residual branch that starts with one.
//
// x -> x + inner(layernorm(x)): the branch's gradient is added into the gradient that arrives, in place, so the
// residual stream's gradient is one buffer from the last block to the first. In parts it goes into a copy, because the
// branch's last layer keeps what arrived for its weights.
#pragma once

#include <memory>
#include <vector>

#include "reference/trainer/context.h"
#include "reference/trainer/model/layer.h"

namespace lockstep::trainer {

class LayerNorm : public Layer {
 public:
  LayerNorm(const RankContext& context, ParameterUse weight, ParameterUse bias, std::int64_t width);
  Activations Forward(const MicroBatch& micro_batch, const Activations& x) override;
  Activations Backward(const MicroBatch& micro_batch, const Activations& d_y) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations& d_y) override;
  void WeightGradient(const MicroBatch& micro_batch) override;
  // d_x += the gradient of x, whole and in parts.
  virtual void BackwardOnto(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x);
  virtual void InputGradientOnto(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x);
  std::vector<LocalParameter*> Parameters() const override { return {&weight_.parameter(), &bias_.parameter()}; }
  void Clear() override;

 protected:
  struct Saved {
    Activations x;
    Activations statistics;  // (2, rows): mean, 1 / standard deviation
  };
  // Writes or adds d_x; adds to the sums at `d_weight` and `d_bias`.
  void Differentiate(const Saved& saved, const Activations& d_y, const Activations& d_x, bool accumulate,
                     float* d_weight, float* d_bias);
  void Whole(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x, bool accumulate);
  void InParts(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x, bool accumulate);

  const RankContext& context_;
  ParameterUse weight_, bias_;
  std::int64_t width_;
  Kept<Saved> kept_;
  Kept<Activations> sums_;  // (2, width): gradients of weight and bias
};

class Residual : public Layer {
 public:
  Residual(const RankContext& context, std::unique_ptr<LayerNorm> norm, std::vector<std::unique_ptr<Layer>> inner);
  Activations Forward(const MicroBatch& micro_batch, const Activations& x) override;
  Activations Backward(const MicroBatch& micro_batch, const Activations& d_y) override;
  Activations InputGradient(const MicroBatch& micro_batch, const Activations& d_y) override;
  void WeightGradient(const MicroBatch& micro_batch) override;
  std::vector<LocalParameter*> Parameters() const override;
  void Clear() override;

 private:
  const RankContext& context_;
  std::unique_ptr<LayerNorm> norm_;
  std::vector<std::unique_ptr<Layer>> inner_;
};

}  // namespace lockstep::trainer
