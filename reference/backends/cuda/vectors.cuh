// Four neighbouring elements at once: one 16-byte access where every address allows it, four of 4 bytes otherwise.
//
// Which thread computes which element depends on its index alone and both ways run the same arithmetic, so bytes do not
// depend on an address. Kernels are compiled without contraction of multiply-add for the same reason.
#pragma once

#include <bit>
#include <cstdint>

namespace lockstep::backends::cuda {

inline constexpr std::int64_t kVector = 4;

template <typename... Pointers>
bool Aligned(std::size_t bytes, Pointers... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % bytes == 0) && ...);
}

__device__ inline float4 Load4(const float* x, bool aligned) {
  return aligned ? *reinterpret_cast<const float4*>(x) : make_float4(x[0], x[1], x[2], x[3]);
}

__device__ inline void Store4(float* y, float4 value, bool aligned) {
  if (aligned) {
    *reinterpret_cast<float4*>(y) = value;
  } else {
    y[0] = value.x;
    y[1] = value.y;
    y[2] = value.z;
    y[3] = value.w;
  }
}

// The elements of a row from `begin` on that exist, `fill` in place of those at `end` and beyond.
__device__ inline float4 Load4Of(const float* row, std::int64_t begin, std::int64_t end, bool aligned, float fill) {
  if (begin + kVector <= end) return Load4(row + begin, aligned);
  return make_float4(row[begin], begin + 1 < end ? row[begin + 1] : fill, begin + 2 < end ? row[begin + 2] : fill,
                     begin + 3 < end ? row[begin + 3] : fill);
}

__device__ inline void Store4Of(float* row, std::int64_t begin, std::int64_t end, float4 value, bool aligned) {
  if (begin + kVector <= end) {
    Store4(row + begin, value, aligned);
    return;
  }
  row[begin] = value.x;
  if (begin + 1 < end) row[begin + 1] = value.y;
  if (begin + 2 < end) row[begin + 2] = value.z;
}

// f of each component
template <typename Function>
__device__ inline float4 Map(const Function& f, float4 a) {
  return make_float4(f(a.x), f(a.y), f(a.z), f(a.w));
}
template <typename Function>
__device__ inline float4 Map(const Function& f, float4 a, float4 b) {
  return make_float4(f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w));
}
template <typename Function>
__device__ inline float4 Map(const Function& f, float4 a, float4 b, float4 c) {
  return make_float4(f(a.x, b.x, c.x), f(a.y, b.y, c.y), f(a.z, b.z, c.z), f(a.w, b.w, c.w));
}

__device__ inline float SumOf(float4 a) { return (a.x + a.y) + (a.z + a.w); }

// Nearest, ties to even; a NaN stays one: its quiet bit is set, so that cutting the low bits can't make it infinite.
__device__ inline std::uint16_t RoundToBF16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40u;
  return static_cast<std::uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}
__device__ inline float WidenBF16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace lockstep::backends::cuda
