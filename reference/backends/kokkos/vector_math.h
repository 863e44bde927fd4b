// fp32 functions that the compiler vectorises, and sums in a fixed order.
//
// No function here looks at an address or at a position: a loop's vector body and its tail give the same bytes.
// NaN goes through every one of them.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace lockstep::backends::kokkos {

// a * b + c, fused where the processor can.
inline float MultiplyAdd(float a, float b, float c) {
#ifdef __FMA__
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

// e^x within 2 units in the last place; 0 below -104, infinity above 88.73.
// x = n ln 2 + r, |r| <= ln 2 / 2; e^r by its Taylor-like minimax polynomial (Cephes expf); 2^n in two factors, so that
// neither overflows where the product does not.
inline float Exp(float x) {
  x = x < -105.0f ? -105.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float n = __builtin_rintf(x * 1.44269504088896341f);
  float r = MultiplyAdd(n, -0.693359375f, x);
  r = MultiplyAdd(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = MultiplyAdd(p, r, 1.3981999507e-3f);
  p = MultiplyAdd(p, r, 8.3334519073e-3f);
  p = MultiplyAdd(p, r, 4.1665795894e-2f);
  p = MultiplyAdd(p, r, 1.6666665459e-1f);
  p = MultiplyAdd(p, r, 5.0000001201e-1f);
  p = MultiplyAdd(p, r * r, r) + 1.0f;
  const std::int32_t whole = static_cast<std::int32_t>(n);
  const std::int32_t half = whole >> 1;
  const float low = std::bit_cast<float>((half + 127) << 23);
  const float high = std::bit_cast<float>((whole - half + 127) << 23);
  return p * low * high;
}

// gelu(x) = x/2 (1 + tanh(u)) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3)
inline constexpr float kGeluScale = 0.7978845608028654f;
inline constexpr float kGeluCubic = 0.044715f;

// e^(-2u), held at e^80 so that it stays finite.
inline float GeluExp(float x) {
  const float u = kGeluScale * MultiplyAdd(kGeluCubic * x * x, x, x);
  const float exponent = -2.0f * u;
  return Exp(exponent > 80.0f ? 80.0f : exponent);
}
inline float Gelu(float x) { return x / (1.0f + GeluExp(x)); }
// s + 2 x s (1 - s) u', s = 1 / (1 + e), u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2); 1 - s is e s, which does not cancel
inline float GeluDerivative(float x) {
  const float e = GeluExp(x);
  const float s = 1.0f / (1.0f + e);
  const float slope = kGeluScale * MultiplyAdd(3.0f * kGeluCubic * x, x, 1.0f);
  return MultiplyAdd(2.0f * x * s * (e * s), slope, s);
}

// Nearest, ties to even; a NaN stays one (its quiet bit is set, so that cutting the low bits can't make it infinite).
inline std::uint16_t RoundToBF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40u;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}
inline float WidenBF16(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

// Sum of term(0) .. term(n - 1) in the type T: lane l adds the terms l, l + kLanes, ..., then neighbours are added in
// pairs. The order depends on n alone.
template <typename T, int kLanes = 16, typename Term>
inline T LaneSum(std::int64_t n, const Term& term) {
  T lanes[kLanes] = {};
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) lanes[l] += term(j + l);
  }
  for (int l = 0; j + l < n; ++l) lanes[l] += term(j + l);
  for (int step = kLanes / 2; step > 0; step /= 2) {
    for (int l = 0; l < step; ++l) lanes[l] += lanes[l + step];
  }
  return lanes[0];
}

// The largest of x[0] .. x[n - 1]: NaN when one is, -infinity when n is 0.
inline float LargestOf(std::int64_t n, const float* x) {
  constexpr int kLanes = 16;
  float lanes[kLanes];
  for (float& lane : lanes) lane = -INFINITY;
  const auto larger = [](float a, float b) { return a != a || a > b ? a : b; };  // b may be NaN: then b
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) lanes[l] = larger(lanes[l], x[j + l]);
  }
  for (int l = 0; j + l < n; ++l) lanes[l] = larger(lanes[l], x[j + l]);
  for (int l = 1; l < kLanes; ++l) lanes[0] = larger(lanes[0], lanes[l]);
  return lanes[0];
}

}  // namespace lockstep::backends::kokkos
