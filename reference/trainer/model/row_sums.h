// Gradients of parameters that lie beside a row of features, biases and norms: sums over the rows of one micro-batch.
//
// The pass that computes the input's gradient reads all that they need, so it takes the sums there and keeps them, a
// row each, in place of the rows. Added later they give the bytes that adding them at once gives, because the device
// adds a sum over rows to a gradient, and never row after row.
#pragma once

#include "reference/trainer/context.h"
#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

// `count` sums of `width` features, zero; nothing for 0 of them.
inline Activations NewRowSums(const RankContext& context, std::int64_t count, std::int64_t width) {
  Activations sums = NewActivations(context.device, count, width);
  if (sums.buffer) context.device.Zero(sums.data(), static_cast<std::size_t>(sums.size()) * sizeof(float));
  return sums;
}

// gradient += the sum at `index`.
inline void AddRowSum(const RankContext& context, const Activations& sums, std::int64_t index,
                      const ParameterUse& parameter) {
  if (!sums.buffer) return;
  float* gradient = parameter.GradientToAdd(context.device);
  context.device.Add(sums.width, gradient, sums.data() + index * sums.width, gradient);
}

}  // namespace lockstep::trainer
