// Sums in fp64 in a fixed order: fixed blocks of elements by themselves, then over blocks in order.
#include <vector>

#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/row_groups.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

constexpr std::int64_t kPart = 4096;  // elements that one warp adds

// parts[b] = sum over i of part b of x[i], or of x[i]^2;  reads 4 n bytes, n additions (and n products) in fp64
template <bool kSquares>
__global__ void __launch_bounds__(kBlock) PartialSums(std::int64_t n, const float* x, double* parts, bool aligned) {
  const std::int64_t part = RowOfThread();
  const std::int64_t begin = part * kPart;
  double sum = 0;
  if (begin < n) {
    const std::int64_t size = n - begin < kPart ? n - begin : kPart;
    const auto term = [](float value) {
      return kSquares ? static_cast<double>(value) * static_cast<double>(value) : static_cast<double>(value);
    };
    ForVectors(size, [&](std::int64_t j) {
      const float4 four = Load4Of(x + begin, j, size, aligned, 0.0f);
      sum += (term(four.x) + term(four.y)) + (term(four.z) + term(four.w));
    });
  }
  sum = OverLanes(sum, Plus{});
  if (begin < n && threadIdx.x == 0) parts[part] = sum;
}

}  // namespace kernels

namespace {

// One warp a part; n below a part's size takes fewer lanes, which n alone decides.
template <bool kSquares>
double SumOnHost(CudaDevice& device, cudaStream_t stream, std::int64_t n, const float* x) {
  if (n == 0) return 0;
  std::vector<double> parts(static_cast<std::size_t>(Ceiling(n, kernels::kPart)));
  const std::size_t bytes = parts.size() * sizeof(double);
  const device::Buffer on_device = device.Allocate(bytes, device::Category::kWorkspace);
  const Grid grid = RowGrid(static_cast<std::int64_t>(parts.size()), n < kernels::kPart ? n : kernels::kPart, 16);
  Launch<kernels::PartialSums<kSquares>>(stream, grid, 0, n, x, on_device.f64(), Aligned(sizeof(float4), x));
  device.ToHost(parts.data(), on_device.data(), bytes);
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

}  // namespace

double CudaDevice::SumOfSquares(std::int64_t n, const float* x) {
  const Range range("sum of squares");
  return SumOnHost<true>(*this, stream(), n, x);
}

double CudaDevice::Sum(std::int64_t n, const float* x) {
  const Range range("sum");
  return SumOnHost<false>(*this, stream(), n, x);
}

}  // namespace lockstep::backends::cuda
