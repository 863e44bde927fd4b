// Biases and dropout: x is (rows, width).
#include "harness/protocol/dropout.h"
#include "reference/backends/cuda/column_sums.cuh"
#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/row_groups.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

// for i, j: x[i][j] += bias[j];  reads and writes 4 rows width bytes each, rows width additions
__global__ void __launch_bounds__(kBlock)
    AddToRows(std::int64_t rows, std::int64_t width, const float* bias, float* x, bool aligned) {
  const std::int64_t i = RowOfThread();
  if (i >= rows) return;
  float* const row = x + i * width;
  ForVectors(width, [&](std::int64_t j) {
    const float4 sum = Map(Plus{}, Load4Of(row, j, width, aligned, 0), Load4Of(bias, j, width, aligned, 0));
    Store4Of(row, j, width, sum, aligned);
  });
}

// for i, j: y[i][j] = DropoutUniform(row_keys[i], j) >= probability ? x[i][j] / (1 - probability) : 0
// reads and writes 4 rows width bytes each; a splitmix64 step and a division an element
__global__ void __launch_bounds__(kBlock)
    DropFromRows(std::int64_t rows, std::int64_t width, float probability, const std::uint64_t* row_keys,
                 const float* x, float* y, bool aligned) {
  const std::int64_t i = RowOfThread();
  if (i >= rows) return;
  const std::uint64_t key = row_keys[i];
  const auto dropped = [=](float value, std::int64_t j) {
    const bool kept = protocol::DropoutUniform(key, static_cast<std::uint64_t>(j)) >= probability;
    return kept ? value / (1.0f - probability) : 0.0f;
  };
  ForVectors(width, [&](std::int64_t j) {
    const float4 in = Load4Of(x + i * width, j, width, aligned, 0);
    const float4 out = make_float4(dropped(in.x, j), dropped(in.y, j + 1), dropped(in.z, j + 2), dropped(in.w, j + 3));
    Store4Of(y + i * width, j, width, out, aligned);
  });
}

// d_y itself, whose columns are summed
struct Itself {
  const float* d_y;
  std::int64_t width;
  __device__ void operator()(std::int64_t i, std::int64_t j, float (&terms)[1]) const { terms[0] = d_y[i * width + j]; }
};

}  // namespace kernels

void CudaDevice::BiasBackward(std::int64_t rows, std::int64_t width, const float* d_y, float* d_bias) {
  const Range range("bias backward");
  SumColumns(*this, stream(), rows, width, kernels::Itself{d_y, width}, {d_bias});
}

void CudaDevice::AddBias(std::int64_t rows, std::int64_t width, const float* bias, float* x) {
  const Grid grid = RowGrid(rows, width, 1);
  Launch<kernels::AddToRows>(stream(), grid, 0, rows, width, bias, x,
                             width % kVector == 0 && Aligned(sizeof(float4), bias, x));
}

void CudaDevice::Dropout(std::int64_t rows, std::int64_t width, float probability, const std::uint64_t* row_keys,
                         const float* x, float* y) {
  const Range range("dropout");
  const Grid grid = RowGrid(rows, width, 1);
  Launch<kernels::DropFromRows>(stream(), grid, 0, rows, width, probability, row_keys, x, y,
                                width % kVector == 0 && Aligned(sizeof(float4), x, y));
}

}  // namespace lockstep::backends::cuda
