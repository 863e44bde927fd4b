#include "reference/trainer/model/linear.h"

namespace lockstep::trainer {

using device::Epilogue;

device::Matrix Operand::Factor(bool transposed) const {
  return {.data = buffer ? buffer->data() : nullptr, .element = element, .transposed = transposed};
}

Operand MakeOperand(const RankContext& context, const Activations& x) {
  if (!context.bf16()) return {.rows = x.rows, .buffer = x.buffer, .element = device::Element::kF32};
  auto rounded = NewShared(context.device, x.size() * 2);
  if (rounded) context.device.ToBF16(x.size(), x.data(), rounded->bf16());
  return {.rows = x.rows, .buffer = std::move(rounded), .element = device::Element::kBF16};
}

Activations Linear::Forward(const Operand& x, Epilogue epilogue, const float* bias, Activations* before) const {
  Activations y = NewActivations(context_.device, x.rows, out_);
  if (before != nullptr) *before = NewActivations(context_.device, x.rows, out_);
  if (in_ == 0 && y.buffer) {  // a shard without features adds nothing, and products of depth 0 do nothing
    context_.device.Zero(y.data(), static_cast<std::size_t>(y.size()) * sizeof(float));
    return y;
  }
  context_.device.Multiply({.m = x.rows,
                            .n = out_,
                            .k = in_,
                            .a = x.Factor(false),
                            .b = weight_.Factor(true),
                            .c = y.data(),
                            .epilogue = epilogue,
                            .bias = bias,
                            .before_activation = before != nullptr ? before->data() : nullptr});
  return y;
}

Activations Linear::BackwardInput(const Operand& d_y) const {
  Activations d_x = NewActivations(context_.device, d_y.rows, in_);
  if (out_ == 0 && d_x.buffer) {
    context_.device.Zero(d_x.data(), static_cast<std::size_t>(d_x.size()) * sizeof(float));
    return d_x;
  }
  context_.device.Multiply(
      {.m = d_y.rows, .n = in_, .k = out_, .a = d_y.Factor(false), .b = weight_.Factor(false), .c = d_x.data()});
  return d_x;
}

void Linear::BackwardWeight(const Operand& d_y, const Operand& x) const {
  if (d_y.rows == 0 || in_ == 0 || out_ == 0) return;
  bool accumulate = false;
  float* gradient = weight_.GradientToWrite(accumulate);
  context_.device.Multiply({.m = out_,
                            .n = in_,
                            .k = d_y.rows,
                            .a = d_y.Factor(true),
                            .b = x.Factor(false),
                            .c = gradient,
                            .accumulate = accumulate});
}

Activations ActivationBackward(const RankContext& context, protocol::Activation activation, const Activations& before,
                               const Activations& d_y) {
  Activations d_x = NewActivations(context.device, d_y.rows, d_y.width);
  if (activation == protocol::Activation::kRelu) {
    context.device.ReluBackward(d_y.size(), before.data(), d_y.data(), d_x.data());
  } else {
    context.device.GeluBackward(d_y.size(), before.data(), d_y.data(), d_x.data());
  }
  return d_x;
}

}  // namespace lockstep::trainer
