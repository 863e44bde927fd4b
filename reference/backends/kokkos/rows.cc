// Operations on rows: layer normalisation, biases, dropout, embeddings.
//
// Sums over rows run in row order for each column; threads take columns, so their number does not change an order.
#include <algorithm>
#include <cmath>

#include "harness/protocol/dropout.h"
#include "reference/backends/kokkos/kokkos_device.h"
#include "reference/backends/kokkos/parallel.h"
#include "reference/backends/kokkos/vector_math.h"

namespace lockstep::backends::kokkos {
namespace {

constexpr float kLayerNormEpsilon = 1e-5f;
constexpr std::int64_t kColumnBlock = 64;

}  // namespace

void KokkosDevice::LayerNormForward(std::int64_t rows, std::int64_t width, const float* x, const float* weight,
                                    const float* bias, float* y, float* mean, float* rstd) {
  ForRows(rows, width, [=](std::int64_t begin, std::int64_t end) {
    const float inverse = 1.0f / static_cast<float>(width);
    for (std::int64_t i = begin; i < end; ++i) {
      const float* const row = x + i * width;
      const float m = LaneSum<float>(width, [=](std::int64_t j) { return row[j]; }) * inverse;
      const float variance =
          LaneSum<float>(width, [=](std::int64_t j) { return (row[j] - m) * (row[j] - m); }) * inverse;
      const float r = 1.0f / std::sqrt(variance + kLayerNormEpsilon);
      mean[i] = m;
      rstd[i] = r;
      float* const out = y + i * width;
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) out[j] = (row[j] - m) * r * weight[j] + bias[j];
    }
  });
}

// With n = (x - mean) rstd and g = d_y weight: d_x = rstd (g - mean(g) - n mean(g n)); d_weight += sum d_y n; d_bias +=
// sum d_y
void KokkosDevice::LayerNormBackward(std::int64_t rows, std::int64_t width, const float* x, const float* weight,
                                     const float* mean, const float* rstd, const float* d_y, float* d_x,
                                     bool accumulate_x, float* d_weight, float* d_bias) {
  ForRows(rows, width, [=](std::int64_t begin, std::int64_t end) {
    const float inverse = 1.0f / static_cast<float>(width);
    for (std::int64_t i = begin; i < end; ++i) {
      const float* const row = x + i * width;
      const float* const d_row = d_y + i * width;
      const float m = mean[i], r = rstd[i];
      const float mean_g = LaneSum<float>(width, [=](std::int64_t j) { return d_row[j] * weight[j]; }) * inverse;
      const float mean_gn =
          LaneSum<float>(width, [=](std::int64_t j) { return d_row[j] * weight[j] * ((row[j] - m) * r); }) * inverse;
      float* const out = d_x + i * width;
      const auto gradient = [=](std::int64_t j) {
        return r * ((d_row[j] * weight[j] - mean_g) - ((row[j] - m) * r) * mean_gn);
      };
      if (accumulate_x) {
#pragma omp simd
        for (std::int64_t j = 0; j < width; ++j) out[j] += gradient(j);
      } else {
#pragma omp simd
        for (std::int64_t j = 0; j < width; ++j) out[j] = gradient(j);
      }
    }
  });
  ForBlocks(width, kColumnBlock, [=](std::int64_t begin, std::int64_t end) {
    float by_weight[kColumnBlock] = {}, by_bias[kColumnBlock] = {};
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* const row = x + i * width + begin;
      const float* const d_row = d_y + i * width + begin;
      const float m = mean[i], r = rstd[i];
#pragma omp simd
      for (std::int64_t j = 0; j < end - begin; ++j) {
        by_weight[j] += d_row[j] * ((row[j] - m) * r);
        by_bias[j] += d_row[j];
      }
    }
    for (std::int64_t j = begin; j < end; ++j) {
      d_weight[j] += by_weight[j - begin];
      d_bias[j] += by_bias[j - begin];
    }
  });
}

void KokkosDevice::BiasBackward(std::int64_t rows, std::int64_t width, const float* d_y, float* d_bias) {
  ForBlocks(width, kColumnBlock, [=](std::int64_t begin, std::int64_t end) {
    float sums[kColumnBlock] = {};
    for (std::int64_t i = 0; i < rows; ++i) {
      const float* const d_row = d_y + i * width + begin;
#pragma omp simd
      for (std::int64_t j = 0; j < end - begin; ++j) sums[j] += d_row[j];
    }
    for (std::int64_t j = begin; j < end; ++j) d_bias[j] += sums[j - begin];
  });
}

void KokkosDevice::AddBias(std::int64_t rows, std::int64_t width, const float* bias, float* x) {
  ForRows(rows, width, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* const row = x + i * width;
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) row[j] += bias[j];
    }
  });
}

void KokkosDevice::Dropout(std::int64_t rows, std::int64_t width, float probability, const std::uint64_t* row_keys,
                           const float* x, float* y) {
  ForRows(rows, width, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint64_t key = row_keys[i];
      const float* const row = x + i * width;
      float* const out = y + i * width;
      for (std::int64_t j = 0; j < width; ++j) {
        const bool kept = protocol::DropoutUniform(key, static_cast<std::uint64_t>(j)) >= probability;
        out[j] = kept ? row[j] / (1.0f - probability) : 0.0f;
      }
    }
  });
}

void KokkosDevice::EmbeddingForward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens,
                                    std::int64_t first, std::int64_t count, const float* table, float* y) {
  ForRows(rows, width, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t at = tokens[i] - first;
      if (at >= 0 && at < count) {
        std::copy_n(table + at * width, width, y + i * width);
      } else {
        std::fill_n(y + i * width, width, 0.0f);
      }
    }
  });
}

void KokkosDevice::EmbeddingBackward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens,
                                     std::int64_t first, std::int64_t count, const float* d_y, float* d_table) {
  ForBlocks(width, kColumnBlock, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t at = tokens[i] - first;
      if (at < 0 || at >= count) continue;
      const float* const d_row = d_y + i * width;
      float* const row = d_table + at * width;
#pragma omp simd
      for (std::int64_t j = begin; j < end; ++j) row[j] += d_row[j];
    }
  });
}

}  // namespace lockstep::backends::kokkos
