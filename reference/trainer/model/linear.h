// y = f(x W^T + b) on one rank: the product that the parallel layers put collectives around.
//
// W is (out, in) as held here. Under bf16 both factors of each product are rounded to bf16; sums are fp32.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "reference/trainer/activations.h"
#include "reference/trainer/context.h"
#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

// Rows as the factor of a product: fp32 shares the activations' memory, bf16 has its own.
struct Operand {
  std::int64_t rows = 0;
  std::shared_ptr<device::Buffer> buffer;
  device::Element element = device::Element::kF32;
  device::Matrix Factor(bool transposed) const;
};
Operand MakeOperand(const RankContext& context, const Activations& x);

class Linear {
 public:
  Linear(const RankContext& context, ParameterUse weight, std::int64_t in, std::int64_t out)
      : context_(context), weight_(weight), in_(in), out_(out) {}

  // x W^T, then the epilogue; `before` (optional) gets what the activation is applied to.
  Activations Forward(const Operand& x, device::Epilogue epilogue, const float* bias, Activations* before) const;
  Activations BackwardInput(const Operand& d_y) const;              // d_y W
  void BackwardWeight(const Operand& d_y, const Operand& x) const;  // gradient += d_y^T x
  LocalParameter* weight() const { return &weight_.parameter(); }
  std::int64_t out() const { return out_; }

 private:
  const RankContext& context_;
  ParameterUse weight_;
  std::int64_t in_, out_;
};

// The derivative of f at `before` (for ReLU, f's result serves as well), times d_y.
Activations ActivationBackward(const RankContext& context, protocol::Activation activation, const Activations& before,
                               const Activations& d_y);

}  // namespace lockstep::trainer
