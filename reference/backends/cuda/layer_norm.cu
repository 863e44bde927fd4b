// Layer normalisation over rows; x is (rows, width).
#include "reference/backends/cuda/column_sums.cuh"
#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/row_groups.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

constexpr float kEpsilon = 1e-5f;
constexpr std::int64_t kVectorsEach = 4;

// for i: mean = sum_j x[i][j] / width; rstd = 1 / sqrt(sum_j (x[i][j] - mean)^2 / width + 1e-5)
//        for j: y[i][j] = (x[i][j] - mean) * rstd * weight[j] + bias[j]
// reads 4 rows width bytes from memory (twice more from the cache), writes as many; 8 rows width operations
__global__ void __launch_bounds__(kBlock)
    Normalize(std::int64_t rows, std::int64_t width, const float* x, const float* weight, const float* bias, float* y,
              float* mean, float* rstd, bool aligned) {
  const std::int64_t i = RowOfThread();
  const std::int64_t end = i < rows ? width : 0;
  const float* const row = x + i * width;
  const float inverse = 1.0f / static_cast<float>(width);
  float sum = 0;
  ForVectors(end, [&](std::int64_t j) { sum += SumOf(Load4Of(row, j, end, aligned, 0)); });
  const float m = OverLanes(sum, Plus{}) * inverse;
  float squares = 0;
  ForVectors(end, [&](std::int64_t j) {
    const auto square = [m](float value) { return (value - m) * (value - m); };
    squares += SumOf(Map(square, Load4Of(row, j, end, aligned, m)));
  });
  const float r = 1.0f / sqrtf(OverLanes(squares, Plus{}) * inverse + kEpsilon);
  if (i >= rows) return;
  if (threadIdx.x == 0) {
    mean[i] = m;
    rstd[i] = r;
  }
  ForVectors(end, [&](std::int64_t j) {
    const auto normal = [m, r](float value, float w, float b) { return (value - m) * r * w + b; };
    const float4 out = Map(normal, Load4Of(row, j, end, aligned, 0), Load4Of(weight, j, end, aligned, 0),
                           Load4Of(bias, j, end, aligned, 0));
    Store4Of(y + i * width, j, end, out, aligned);
  });
}

struct Given {
  const float* x;
  const float* weight;
  const float* mean;
  const float* rstd;
  const float* d_y;
};

// for i: n_j = (x[i][j] - mean[i]) rstd[i]; g_j = d_y[i][j] weight[j]; a = sum_j g_j / width; b = sum_j g_j n_j / width
//        for j: d_x[i][j] (+)= rstd[i] (g_j - a - n_j b)
// reads 8 rows width bytes from memory (again from the cache), 4 more where d_x is added to, writes 4; 13 operations
// each
__global__ void __launch_bounds__(kBlock)
    NormalizeBackward(std::int64_t rows, std::int64_t width, Given given, float* d_x, bool add, bool aligned) {
  const std::int64_t i = RowOfThread();
  const std::int64_t end = i < rows ? width : 0;
  const float* const row = given.x + i * width;
  const float* const d_row = given.d_y + i * width;
  const float m = i < rows ? given.mean[i] : 0.0f, r = i < rows ? given.rstd[i] : 0.0f;
  const float inverse = 1.0f / static_cast<float>(width);
  const auto times = [](float a, float b) { return a * b; };
  const auto normal = [m, r](float value) { return (value - m) * r; };
  float sum_g = 0, sum_gn = 0;
  ForVectors(end, [&](std::int64_t j) {
    const float4 g = Map(times, Load4Of(d_row, j, end, aligned, 0), Load4Of(given.weight, j, end, aligned, 0));
    sum_g += SumOf(g);
    sum_gn += SumOf(Map(times, g, Map(normal, Load4Of(row, j, end, aligned, 0))));
  });
  const float mean_g = OverLanes(sum_g, Plus{}) * inverse, mean_gn = OverLanes(sum_gn, Plus{}) * inverse;
  ForVectors(end, [&](std::int64_t j) {
    const auto gradient = [&](float value, float d, float w) {
      return r * ((d * w - mean_g) - ((value - m) * r) * mean_gn);
    };
    float4 out = Map(gradient, Load4Of(row, j, end, aligned, 0), Load4Of(d_row, j, end, aligned, 0),
                     Load4Of(given.weight, j, end, aligned, 0));
    if (add) out = Map(Plus{}, Load4Of(d_x + i * width, j, end, aligned, 0), out);
    Store4Of(d_x + i * width, j, end, out, aligned);
  });
}

// d_y n and d_y, whose columns are summed
struct WeightAndBias {
  Given given;
  std::int64_t width;
  __device__ void operator()(std::int64_t i, std::int64_t j, float (&terms)[2]) const {
    const float d = given.d_y[i * width + j];
    terms[0] = d * ((given.x[i * width + j] - given.mean[i]) * given.rstd[i]);
    terms[1] = d;
  }
};

}  // namespace kernels

void CudaDevice::LayerNormForward(std::int64_t rows, std::int64_t width, const float* x, const float* weight,
                                  const float* bias, float* y, float* mean, float* rstd) {
  const Range range("layer norm forward");
  const bool aligned = width % kVector == 0 && Aligned(sizeof(float4), x, weight, bias, y);
  Launch<kernels::Normalize>(stream(), RowGrid(rows, width, kernels::kVectorsEach), 0, rows, width, x, weight, bias, y,
                             mean, rstd, aligned);
}

void CudaDevice::LayerNormBackward(std::int64_t rows, std::int64_t width, const float* x, const float* weight,
                                   const float* mean, const float* rstd, const float* d_y, float* d_x,
                                   bool accumulate_x, float* d_weight, float* d_bias) {
  const Range range("layer norm backward");
  const bool aligned = width % kVector == 0 && Aligned(sizeof(float4), x, weight, d_y, d_x);
  const kernels::Given given{x, weight, mean, rstd, d_y};
  Launch<kernels::NormalizeBackward>(stream(), RowGrid(rows, width, kernels::kVectorsEach), 0, rows, width, given, d_x,
                                     accumulate_x, aligned);
  SumColumns(*this, stream(), rows, width, kernels::WeightAndBias{given, width}, {d_weight, d_bias});
}

}  // namespace lockstep::backends::cuda
