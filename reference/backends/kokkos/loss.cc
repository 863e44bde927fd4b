#include <cmath>

#include "reference/backends/kokkos/kokkos_device.h"
#include "reference/backends/kokkos/parallel.h"
#include "reference/backends/kokkos/vector_math.h"

namespace lockstep::backends::kokkos {

void KokkosDevice::RowMax(std::int64_t rows, std::int64_t count, const float* logits, float* row_max) {
  ForRows(rows, count, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) row_max[i] = LargestOf(count, logits + i * count);
  });
}

void KokkosDevice::RowSumExp(std::int64_t rows, std::int64_t count, std::int64_t first, const float* logits,
                             const float* row_max, const std::int32_t* targets, float* sum_exp, float* target_logit) {
  ForRows(rows, count, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* const row = logits + i * count;
      const float largest = row_max[i];
      sum_exp[i] = LaneSum<float>(count, [=](std::int64_t j) { return Exp(row[j] - largest); });
      const std::int64_t at = targets[i] - first;
      target_logit[i] = targets[i] >= 0 && at >= 0 && at < count ? row[at] : 0.0f;
    }
  });
}

void KokkosDevice::CrossEntropyLoss(std::int64_t rows, const float* row_max, const float* sum_exp,
                                    const float* target_logit, const std::int32_t* targets, float* losses) {
  ForElements(rows, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      losses[i] = targets[i] >= 0 ? (row_max[i] - target_logit[i]) + std::log(sum_exp[i]) : 0.0f;
    }
  });
}

void KokkosDevice::CrossEntropyBackward(std::int64_t rows, std::int64_t count, std::int64_t first, float* logits,
                                        const float* row_max, const float* sum_exp, const std::int32_t* targets,
                                        float scale) {
  ForRows(rows, count, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* const row = logits + i * count;
      if (targets[i] < 0) {
        std::fill_n(row, count, 0.0f);
        continue;
      }
      const float largest = row_max[i], sum = sum_exp[i];
      const std::int64_t at = targets[i] - first;
      const bool here = at >= 0 && at < count;
      const float of_target = here ? scale * (Exp(row[at] - largest) / sum - 1.0f) : 0.0f;
#pragma omp simd
      for (std::int64_t j = 0; j < count; ++j) row[j] = scale * (Exp(row[j] - largest) / sum);
      if (here) row[at] = of_target;
    }
  });
}

void KokkosDevice::SquaredError(std::int64_t rows, std::int64_t width, const float* y, const float* target,
                                const float* valid, float scale, float* losses, float* d_y) {
  ForRows(rows, width, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* const row = y + i * width;
      const float* const wanted = target + i * width;
      float* const d_row = d_y + i * width;
      const float counts = valid[i];
      const float squares = LaneSum<float>(width, [=](std::int64_t j) {
        const float difference = row[j] - wanted[j];
        return difference * difference;
      });
      losses[i] = counts * (0.5f * squares);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) d_row[j] = counts * (scale * (row[j] - wanted[j]));
    }
  });
}

}  // namespace lockstep::backends::kokkos
