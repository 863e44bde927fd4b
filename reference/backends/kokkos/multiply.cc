// KokkosDevice::Multiply: tiles of rows, each a product by one thread followed by its epilogue while the tile is warm.
#include <algorithm>

#include "reference/backends/kokkos/kokkos_device.h"
#include "reference/backends/kokkos/parallel.h"
#include "reference/backends/kokkos/vector_math.h"
#include "reference/device/gemm_check.h"

namespace lockstep::backends::kokkos {
namespace {

using device::Element;
using device::Epilogue;
using device::Gemm;
using device::Matrix;

// Rows a tile. Where 1/m + 1/n is below 0.0038 oneDNN copies its operands into an order of its own, which is up to
// twice as fast for a transposed a, or for rows that are a multiple of 4 KiB apart (measured:
// suites/bench/kernels_bench.cc); so tiles are as small as that allows, evenly dealt, and the whole product is one tile
// where it allows none.
std::int64_t TileRows(std::int64_t m, std::int64_t n) {
  constexpr double kCopies = 0.0038;
  constexpr std::int64_t kLeast = 512;
  const double left = kCopies - 1.0 / static_cast<double>(n);
  if (left <= 0) return std::min<std::int64_t>(m, 128);  // a narrow product, which is never copied
  const auto least = std::max(kLeast, static_cast<std::int64_t>(1 / left) + 1);
  const std::int64_t tiles = std::max<std::int64_t>(1, m / least);
  return (m + tiles - 1) / tiles;
}

// u = c + bias; before = u; c = activation(u), for one row
template <typename Activation>
void FinishRow(std::int64_t n, const float* __restrict bias, float* __restrict c, float* __restrict before,
               const Activation& activation) {
  if (before != nullptr) {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) {
      const float u = c[j] + bias[j];
      before[j] = u;
      c[j] = activation(u);
    }
  } else {
#pragma omp simd
    for (std::int64_t j = 0; j < n; ++j) c[j] = activation(c[j] + bias[j]);
  }
}

void Finish(const Gemm& gemm, std::int64_t leading_c, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    float* const c = gemm.c + i * leading_c;
    float* const before = gemm.before_activation == nullptr ? nullptr : gemm.before_activation + i * gemm.n;
    switch (gemm.epilogue) {
      case Epilogue::kNone:
        return;
      case Epilogue::kBias:
        FinishRow(gemm.n, gemm.bias, c, before, [](float u) { return u; });
        break;
      case Epilogue::kBiasRelu:
        FinishRow(gemm.n, gemm.bias, c, before, [](float u) { return u <= 0.0f ? 0.0f : u; });  // NaN stays
        break;
      case Epilogue::kBiasGelu:
        FinishRow(gemm.n, gemm.bias, c, before, [](float u) { return Gelu(u); });
        break;
    }
  }
}

template <typename T>
Operand<T> OperandOf(const Matrix& matrix, std::int64_t rows, std::int64_t columns) {
  const std::int64_t contiguous = matrix.transposed ? rows : columns;
  return {static_cast<const T*>(matrix.data), matrix.leading == 0 ? contiguous : matrix.leading, matrix.transposed};
}

}  // namespace

void KokkosDevice::Multiply(const Gemm& gemm) {
  device::RequireValid(gemm);
  if (gemm.m == 0 || gemm.n == 0) return;
  const std::int64_t leading_c = gemm.leading_c == 0 ? gemm.n : gemm.leading_c;
  const auto in_tiles = [&](const auto& multiply) {
    ForBlocks(gemm.m, TileRows(gemm.m, gemm.n), [&](std::int64_t begin, std::int64_t end) {
      multiply(begin, end - begin, gemm.c + begin * leading_c);
      Finish(gemm, leading_c, begin, end);
    });
  };
  const auto multiply_f32 = [&](const Operand<float>& a, const Operand<float>& b) {
    in_tiles([&](std::int64_t begin, std::int64_t rows, float* c) {
      MultiplyF32(rows, gemm.n, gemm.k, 1.0f, a.FromRow(begin), b, gemm.accumulate, c, leading_c);
    });
  };
  if (gemm.a.element == Element::kF32) {
    return multiply_f32(OperandOf<float>(gemm.a, gemm.m, gemm.k), OperandOf<float>(gemm.b, gemm.k, gemm.n));
  }
  const auto a = OperandOf<std::uint16_t>(gemm.a, gemm.m, gemm.k);
  const auto b = OperandOf<std::uint16_t>(gemm.b, gemm.k, gemm.n);
  if (bf16_products_.native()) {
    in_tiles([&](std::int64_t begin, std::int64_t rows, float* c) {
      bf16_products_.Multiply(rows, gemm.n, gemm.k, a.FromRow(begin), b, gemm.accumulate, c, leading_c);
    });
    return;
  }
  device::Buffer wide_a, wide_b;
  multiply_f32(Widen(a, gemm.m, gemm.k, wide_a), Widen(b, gemm.k, gemm.n, wide_b));
}

// The operand in fp32, in `wide`.
Operand<float> KokkosDevice::Widen(const Operand<std::uint16_t>& narrow, std::int64_t rows, std::int64_t columns,
                                   device::Buffer& wide) {
  if (narrow.transposed) std::swap(rows, columns);
  wide = Allocate(static_cast<std::size_t>(rows * columns) * sizeof(float), device::Category::kWorkspace);
  for (std::int64_t i = 0; i < rows; ++i) FromBF16(columns, narrow.data + i * narrow.leading, wide.f32() + i * columns);
  return {wide.f32(), columns, narrow.transposed};
}

}  // namespace lockstep::backends::kokkos
