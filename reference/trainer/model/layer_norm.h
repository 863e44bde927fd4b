// Layer normalisation of rows, and the residual branch that starts with one.
//
// x -> x + inner(layernorm(x)): the branch's gradient is added into the gradient that arrives, in place, so the
// residual stream's gradient is one buffer from the last block to the first.
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
  // d_x += the gradient of x.
  virtual void BackwardOnto(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x);
  std::vector<LocalParameter*> Parameters() const override { return {&weight_.parameter(), &bias_.parameter()}; }
  void Clear() override { kept_.Clear(); }

 protected:
  struct Saved {
    Activations x;
    Activations statistics;  // (2, rows): mean, 1 / standard deviation
  };
  void Differentiate(const MicroBatch& micro_batch, const Activations& d_y, const Activations& d_x, bool accumulate);

  const RankContext& context_;
  ParameterUse weight_, bias_;
  std::int64_t width_;
  Kept<Saved> kept_;
};

class Residual : public Layer {
 public:
  Residual(const RankContext& context, std::unique_ptr<LayerNorm> norm, std::vector<std::unique_ptr<Layer>> inner);
  Activations Forward(const MicroBatch& micro_batch, const Activations& x) override;
  Activations Backward(const MicroBatch& micro_batch, const Activations& d_y) override;
  std::vector<LocalParameter*> Parameters() const override;
  void Clear() override;

 private:
  const RankContext& context_;
  std::unique_ptr<LayerNorm> norm_;
  std::vector<std::unique_ptr<Layer>> inner_;
};

}  // namespace lockstep::trainer
