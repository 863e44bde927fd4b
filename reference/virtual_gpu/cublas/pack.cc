#include "reference/virtual_gpu/cublas/pack.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <bit>

#include "reference/virtual_gpu/runtime/seen.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

// To nearest, ties away from zero, as the hardware's conversion to tf32 does; infinities and NaN stay.
float RoundToTF32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return x;
  return std::bit_cast<float>((bits + 0x1000u) & ~0x1fffu);
}

struct Plain {
  static float Of(float x) { return x; }
};
struct Rounded {
  static float Of(float x) { return RoundToTF32(x); }
};
struct Widened {
  static float Of(__nv_bfloat16 x) { return static_cast<float>(x); }
};

template <typename T, typename Conversion>
void PackAs(const Side& side, std::int64_t first, std::int64_t count, std::int64_t k, std::int64_t width,
            float* __restrict panel) {
  const T* const data = static_cast<const T*>(side.data) + first * side.unit_stride;
  if (side.unit_stride == 1) {
    for (std::int64_t p = 0; p < k; ++p) {
      const T* const term = data + p * side.term_stride;
      float* const out = panel + p * width;
      for (std::int64_t u = 0; u < count; ++u) out[u] = Conversion::Of(term[u]);
      for (std::int64_t u = count; u < width; ++u) out[u] = 0;
    }
    return;
  }
  constexpr std::int64_t kBlock = 16;  // terms: what is written meanwhile stays in the nearest cache
  for (std::int64_t begin = 0; begin < k; begin += kBlock) {
    const std::int64_t end = std::min(k, begin + kBlock);
    for (std::int64_t u = 0; u < count; ++u) {
      const T* const unit = data + u * side.unit_stride;
      for (std::int64_t p = begin; p < end; ++p) panel[p * width + u] = Conversion::Of(unit[p * side.term_stride]);
    }
    for (std::int64_t u = count; u < width; ++u) {
      for (std::int64_t p = begin; p < end; ++p) panel[p * width + u] = 0;
    }
  }
}

// k terms of `count` units.
void SeeUnits(const Side& side, std::int64_t first, std::int64_t count, std::int64_t k) {
  const bool along_units = side.unit_stride == 1;
  const std::int64_t size = SizeOf(side.element);
  const char* const data = static_cast<const char*>(side.data) + first * side.unit_stride * size;
  const std::int64_t runs = along_units ? k : count, length = along_units ? count : k;
  const std::int64_t stride = along_units ? side.term_stride : side.unit_stride;
  for (std::int64_t run = 0; run < runs; ++run) SeeRead(data + run * stride * size, length * size);
}

template <typename T>
float UnitSum(const T* unit, std::int64_t k, std::int64_t stride) {
  float sum = 0;
  for (std::int64_t p = 0; p < k; ++p) sum += static_cast<float>(unit[p * stride]);
  return sum;
}

}  // namespace

Side RowsOf(const Product& product) {
  const Operand& a = product.a;
  return {a.data,
          a.element,
          product.m,
          a.transposed ? a.leading : 1,
          a.transposed ? 1 : a.leading,
          product.tf32 && a.element == Element::kF32};
}

Side ColumnsOf(const Product& product) {
  const Operand& b = product.b;
  return {b.data,
          b.element,
          product.n,
          b.transposed ? 1 : b.leading,
          b.transposed ? b.leading : 1,
          product.tf32 && b.element == Element::kF32};
}

void Pack(const Side& side, std::int64_t first, std::int64_t count, std::int64_t k, std::int64_t width, float* panel) {
  if (kThreadSanitizer) SeeUnits(side, first, count, k);
  if (side.element == Element::kBF16) {
    PackAs<__nv_bfloat16, Widened>(side, first, count, k, width, panel);
  } else if (side.tf32) {
    PackAs<float, Rounded>(side, first, count, k, width, panel);
  } else {
    PackAs<float, Plain>(side, first, count, k, width, panel);
  }
}

void SumUnits(const Side& side, std::int64_t k, Element element, void* sums) {
  if (kThreadSanitizer) {
    SeeUnits(side, 0, side.units, k);
    SeeWrite(sums, side.units * SizeOf(element));
  }
  for (std::int64_t u = 0; u < side.units; ++u) {
    const std::int64_t at = u * side.unit_stride;
    const float sum = side.element == Element::kF32
                          ? UnitSum(static_cast<const float*>(side.data) + at, k, side.term_stride)
                          : UnitSum(static_cast<const __nv_bfloat16*>(side.data) + at, k, side.term_stride);
    if (element == Element::kF32) {
      static_cast<float*>(sums)[u] = sum;
    } else {
      static_cast<__nv_bfloat16*>(sums)[u] = sum;
    }
  }
}

}  // namespace lockstep::virtual_gpu::cublas
