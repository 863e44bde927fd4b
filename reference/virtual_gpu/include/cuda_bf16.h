// __nv_bfloat16 and its conversions, bit for bit as the toolkit's host code rounds: to nearest, ties to even; a NaN
// becomes 0x7fff. Arithmetic is in float and rounded once (exact for one operation on two bfloat16s).
#pragma once

#include <vector_functions.h>

#include <bit>
#include <cstdint>

struct __nv_bfloat16_raw {
  unsigned short x;
};

struct alignas(2) __nv_bfloat16 {
  __nv_bfloat16() = default;
  constexpr __nv_bfloat16(float value) : bits_(Round(value)) {}
  constexpr __nv_bfloat16(double value) : bits_(Round(static_cast<float>(value))) {}
  constexpr __nv_bfloat16(int value) : bits_(Round(static_cast<float>(value))) {}
  constexpr __nv_bfloat16(unsigned value) : bits_(Round(static_cast<float>(value))) {}
  constexpr __nv_bfloat16(__nv_bfloat16_raw raw) : bits_(raw.x) {}
  constexpr operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits_) << 16); }
  constexpr operator __nv_bfloat16_raw() const { return {bits_}; }

  static constexpr std::uint16_t Round(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
  }

 private:
  std::uint16_t bits_;
};
typedef __nv_bfloat16 nv_bfloat16;

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};
typedef __nv_bfloat162 nv_bfloat162;

static_assert(sizeof(__nv_bfloat16) == 2 && sizeof(__nv_bfloat162) == 4);

constexpr __nv_bfloat16 __float2bfloat16(float x) { return {x}; }
constexpr __nv_bfloat16 __float2bfloat16_rn(float x) { return {x}; }
constexpr __nv_bfloat16 __double2bfloat16(double x) { return {static_cast<float>(x)}; }
constexpr float __bfloat162float(__nv_bfloat16 x) { return static_cast<float>(x); }
constexpr unsigned short __bfloat16_as_ushort(__nv_bfloat16 x) { return static_cast<__nv_bfloat16_raw>(x).x; }
constexpr short __bfloat16_as_short(__nv_bfloat16 x) { return static_cast<short>(__bfloat16_as_ushort(x)); }
constexpr __nv_bfloat16 __ushort_as_bfloat16(unsigned short x) { return {__nv_bfloat16_raw{x}}; }
constexpr __nv_bfloat16 __short_as_bfloat16(short x) { return {__nv_bfloat16_raw{static_cast<unsigned short>(x)}}; }

constexpr __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {{x}, {y}}; }
constexpr __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {{v.x}, {v.y}}; }
constexpr __nv_bfloat162 __float2bfloat162_rn(float x) { return {{x}, {x}}; }
constexpr __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
constexpr __nv_bfloat162 make_bfloat162(__nv_bfloat16 x, __nv_bfloat16 y) { return {x, y}; }
constexpr float2 __bfloat1622float2(__nv_bfloat162 v) { return {static_cast<float>(v.x), static_cast<float>(v.y)}; }
constexpr __nv_bfloat16 __low2bfloat16(__nv_bfloat162 v) { return v.x; }
constexpr __nv_bfloat16 __high2bfloat16(__nv_bfloat162 v) { return v.y; }
constexpr float __low2float(__nv_bfloat162 v) { return static_cast<float>(v.x); }
constexpr float __high2float(__nv_bfloat162 v) { return static_cast<float>(v.y); }

constexpr bool __hisnan(__nv_bfloat16 x) { return (__bfloat16_as_ushort(x) & 0x7fff) > 0x7f80; }
constexpr __nv_bfloat16 __hadd(__nv_bfloat16 x, __nv_bfloat16 y) {
  return {static_cast<float>(x) + static_cast<float>(y)};
}
constexpr __nv_bfloat16 __hsub(__nv_bfloat16 x, __nv_bfloat16 y) {
  return {static_cast<float>(x) - static_cast<float>(y)};
}
constexpr __nv_bfloat16 __hmul(__nv_bfloat16 x, __nv_bfloat16 y) {
  return {static_cast<float>(x) * static_cast<float>(y)};
}
constexpr __nv_bfloat16 __hdiv(__nv_bfloat16 x, __nv_bfloat16 y) {
  return {static_cast<float>(x) / static_cast<float>(y)};
}
constexpr __nv_bfloat16 __hneg(__nv_bfloat16 x) {
  return {__nv_bfloat16_raw{static_cast<unsigned short>(__bfloat16_as_ushort(x) ^ 0x8000u)}};
}

// Without these, bfloat16 operands would be added as floats, in silence, where nvcc rounds the sum to bfloat16.
constexpr __nv_bfloat16 operator+(__nv_bfloat16 x, __nv_bfloat16 y) { return __hadd(x, y); }
constexpr __nv_bfloat16 operator-(__nv_bfloat16 x, __nv_bfloat16 y) { return __hsub(x, y); }
constexpr __nv_bfloat16 operator*(__nv_bfloat16 x, __nv_bfloat16 y) { return __hmul(x, y); }
constexpr __nv_bfloat16 operator/(__nv_bfloat16 x, __nv_bfloat16 y) { return __hdiv(x, y); }
constexpr __nv_bfloat16 operator-(__nv_bfloat16 x) { return __hneg(x); }
constexpr bool operator==(__nv_bfloat16 x, __nv_bfloat16 y) { return static_cast<float>(x) == static_cast<float>(y); }
constexpr bool operator<(__nv_bfloat16 x, __nv_bfloat16 y) { return static_cast<float>(x) < static_cast<float>(y); }
constexpr bool operator>(__nv_bfloat16 x, __nv_bfloat16 y) { return static_cast<float>(x) > static_cast<float>(y); }
constexpr bool operator<=(__nv_bfloat16 x, __nv_bfloat16 y) { return static_cast<float>(x) <= static_cast<float>(y); }
constexpr bool operator>=(__nv_bfloat16 x, __nv_bfloat16 y) { return static_cast<float>(x) >= static_cast<float>(y); }
