// GELU in fp32. NaN goes through.
//
// gelu(x) = x/2 (1 + tanh(u)) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3): without the cancellation of 1 +
// tanh(u) at negative x.
#pragma once

#include <cmath>

namespace lockstep::backends::cuda {

inline constexpr float kGeluScale = 0.7978845608028654f;  // sqrt(2/pi)
inline constexpr float kGeluCubic = 0.044715f;

// e^(-2u), held at e^80 so that it stays finite.
__device__ inline float GeluExp(float x) {
  const float exponent = -2.0f * (kGeluScale * fmaf(kGeluCubic * x * x, x, x));
  return expf(exponent > 80.0f ? 80.0f : exponent);
}

__device__ inline float Gelu(float x) { return x / (1.0f + GeluExp(x)); }

// s + 2 x s (1 - s) u', s = 1 / (1 + e), u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2); 1 - s is e s, which does not cancel
__device__ inline float GeluDerivative(float x) {
  const float e = GeluExp(x);
  const float s = 1.0f / (1.0f + e);
  const float slope = kGeluScale * fmaf(3.0f * kGeluCubic * x, x, 1.0f);
  return fmaf(2.0f * x * s * (e * s), slope, s);
}

}  // namespace lockstep::backends::cuda
