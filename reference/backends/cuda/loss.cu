// Losses over rows. A row's numbers come from its group of lanes; gradients overwrite the logits in the same pass.
#include <cmath>

#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/row_groups.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

constexpr std::int64_t kVectorsEach = 4;

// for i: row_max[i] = max_j logits[i][j], -infinity for no column;  reads 4 rows count bytes, rows count comparisons
__global__ void __launch_bounds__(kBlock)
    LargestOfRows(std::int64_t rows, std::int64_t count, const float* logits, float* row_max, bool aligned) {
  const std::int64_t i = RowOfThread();
  const std::int64_t end = i < rows ? count : 0;
  float largest = -INFINITY;
  ForVectors(end, [&](std::int64_t j) {
    const float4 four = Load4Of(logits + i * count, j, end, aligned, -INFINITY);
    const Larger larger;
    largest = larger(largest, larger(larger(four.x, four.y), larger(four.z, four.w)));
  });
  largest = OverLanes(largest, Larger{});
  if (i < rows && threadIdx.x == 0) row_max[i] = largest;
}

// for i: sum_exp[i] = sum_j exp(logits[i][j] - row_max[i]); target_logit[i] = logits[i][targets[i] - first], or 0
// reads 4 rows count bytes; rows count exponentials and additions
__global__ void __launch_bounds__(kBlock)
    SumExponentials(std::int64_t rows, std::int64_t count, std::int64_t first, const float* logits,
                    const float* row_max, const std::int32_t* targets, float* sum_exp, float* target_logit,
                    bool aligned) {
  const std::int64_t i = RowOfThread();
  const std::int64_t end = i < rows ? count : 0;
  const float* const row = logits + i * count;
  const float largest = i < rows ? row_max[i] : 0.0f;
  float sum = 0;
  ForVectors(end, [&](std::int64_t j) {
    const auto exponential = [largest](float value) { return expf(value - largest); };
    sum += SumOf(Map(exponential, Load4Of(row, j, end, aligned, -INFINITY)));
  });
  sum = OverLanes(sum, Plus{});
  if (i >= rows || threadIdx.x != 0) return;
  sum_exp[i] = sum;
  const std::int64_t at = targets[i] - first;
  target_logit[i] = targets[i] >= 0 && at >= 0 && at < count ? row[at] : 0.0f;
}

// for i: losses[i] = targets[i] >= 0 ? log(sum_exp[i]) + row_max[i] - target_logit[i] : 0;  20 rows bytes, one
// logarithm
__global__ void __launch_bounds__(kBlock)
    Losses(std::int64_t rows, const float* row_max, const float* sum_exp, const float* target_logit,
           const std::int32_t* targets, float* losses) {
  const std::int64_t i = GlobalThread();
  if (i >= rows) return;
  losses[i] = targets[i] >= 0 ? (row_max[i] - target_logit[i]) + logf(sum_exp[i]) : 0.0f;
}

// for i, j: logits[i][j] = valid ? scale * (exp(logits[i][j] - row_max[i]) / sum_exp[i] - (first + j == targets[i])) :
// 0 reads and writes 4 rows count bytes each; an exponential and a division an element
__global__ void __launch_bounds__(kBlock)
    LogitGradients(std::int64_t rows, std::int64_t count, std::int64_t first, float* logits, const float* row_max,
                   const float* sum_exp, const std::int32_t* targets, float scale, bool aligned) {
  const std::int64_t i = RowOfThread();
  if (i >= rows) return;
  const bool valid = targets[i] >= 0;
  const std::int64_t target = targets[i] - first;
  const float largest = row_max[i], sum = sum_exp[i];
  const auto gradient = [=](float value, std::int64_t j) {
    const float p = expf(value - largest) / sum;
    return valid ? scale * (j == target ? p - 1.0f : p) : 0.0f;
  };
  ForVectors(count, [&](std::int64_t j) {
    const float4 four = Load4Of(logits + i * count, j, count, aligned, 0);
    const float4 out =
        make_float4(gradient(four.x, j), gradient(four.y, j + 1), gradient(four.z, j + 2), gradient(four.w, j + 3));
    Store4Of(logits + i * count, j, count, out, aligned);
  });
}

// for i: losses[i] = valid[i] / 2 sum_j (y[i][j] - target[i][j])^2
//        for j: d_y[i][j] = valid[i] * scale * (y[i][j] - target[i][j])
// reads 8 rows width bytes, writes 4 rows width; 5 rows width operations
__global__ void __launch_bounds__(kBlock)
    SquaredErrors(std::int64_t rows, std::int64_t width, const float* y, const float* target, const float* valid,
                  float scale, float* losses, float* d_y, bool aligned) {
  const std::int64_t i = RowOfThread();
  const std::int64_t end = i < rows ? width : 0;
  const float counts = i < rows ? valid[i] : 0.0f;
  float squares = 0;
  ForVectors(end, [&](std::int64_t j) {
    const auto minus = [](float a, float b) { return a - b; };
    const auto square = [](float a) { return a * a; };
    const auto gradient = [counts, scale](float a) { return counts * (scale * a); };
    const float4 difference =
        Map(minus, Load4Of(y + i * width, j, end, aligned, 0), Load4Of(target + i * width, j, end, aligned, 0));
    squares += SumOf(Map(square, difference));
    Store4Of(d_y + i * width, j, end, Map(gradient, difference), aligned);
  });
  squares = OverLanes(squares, Plus{});
  if (i < rows && threadIdx.x == 0) losses[i] = counts * (0.5f * squares);
}

}  // namespace kernels

void CudaDevice::RowMax(std::int64_t rows, std::int64_t count, const float* logits, float* row_max) {
  const Range range("row max");
  Launch<kernels::LargestOfRows>(stream(), RowGrid(rows, count, kernels::kVectorsEach), 0, rows, count, logits, row_max,
                                 count % kVector == 0 && Aligned(sizeof(float4), logits));
}

void CudaDevice::RowSumExp(std::int64_t rows, std::int64_t count, std::int64_t first, const float* logits,
                           const float* row_max, const std::int32_t* targets, float* sum_exp, float* target_logit) {
  const Range range("row sum of exponentials");
  Launch<kernels::SumExponentials>(stream(), RowGrid(rows, count, kernels::kVectorsEach), 0, rows, count, first, logits,
                                   row_max, targets, sum_exp, target_logit,
                                   count % kVector == 0 && Aligned(sizeof(float4), logits));
}

void CudaDevice::CrossEntropyLoss(std::int64_t rows, const float* row_max, const float* sum_exp,
                                  const float* target_logit, const std::int32_t* targets, float* losses) {
  const Range range("cross-entropy");
  Launch<kernels::Losses>(stream(), FlatGrid(rows), 0, rows, row_max, sum_exp, target_logit, targets, losses);
}

void CudaDevice::CrossEntropyBackward(std::int64_t rows, std::int64_t count, std::int64_t first, float* logits,
                                      const float* row_max, const float* sum_exp, const std::int32_t* targets,
                                      float scale) {
  const Range range("cross-entropy backward");
  Launch<kernels::LogitGradients>(stream(), RowGrid(rows, count, 1), 0, rows, count, first, logits, row_max, sum_exp,
                                  targets, scale, count % kVector == 0 && Aligned(sizeof(float4), logits));
}

void CudaDevice::SquaredError(std::int64_t rows, std::int64_t width, const float* y, const float* target,
                              const float* valid, float scale, float* losses, float* d_y) {
  const Range range("squared error");
  Launch<kernels::SquaredErrors>(stream(), RowGrid(rows, width, kernels::kVectorsEach), 0, rows, width, y, target,
                                 valid, scale, losses, d_y,
                                 width % kVector == 0 && Aligned(sizeof(float4), y, target, d_y));
}

}  // namespace lockstep::backends::cuda
