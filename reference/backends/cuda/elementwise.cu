// Elementwise operations over n: each is one pass of the streams' kernel, which declares its traffic.
#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/math.cuh"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/streams.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

struct ReluGradient {
  __device__ void operator()(const float (&in)[2], float (&out)[1]) const { out[0] = in[0] > 0.0f ? in[1] : 0.0f; }
};
struct GeluValue {
  __device__ void operator()(const float (&in)[1], float (&out)[1]) const { out[0] = Gelu(in[0]); }
};
struct GeluGradient {
  __device__ void operator()(const float (&in)[2], float (&out)[1]) const { out[0] = in[1] * GeluDerivative(in[0]); }
};
struct Sum2 {
  __device__ void operator()(const float (&in)[2], float (&out)[1]) const { out[0] = in[0] + in[1]; }
};
struct Scaled {
  float factor;
  __device__ void operator()(const float (&in)[1], float (&out)[1]) const { out[0] = in[0] * factor; }
};

// for i in 0 .. n: y[i] = bf16(x[i]);  reads 4 n bytes, writes 2 n, n roundings
__global__ void __launch_bounds__(kBlock) Narrow(std::int64_t n, const float* x, std::uint16_t* y, bool aligned) {
  const std::int64_t begin = GlobalThread() * kVector;
  if (begin + kVector <= n) {
    const float4 four = Load4(x + begin, aligned);
    const ushort4 narrow =
        make_ushort4(RoundToBF16(four.x), RoundToBF16(four.y), RoundToBF16(four.z), RoundToBF16(four.w));
    if (aligned) {
      *reinterpret_cast<ushort4*>(y + begin) = narrow;
      return;
    }
  }
  for (std::int64_t i = begin; i < n && i < begin + kVector; ++i) y[i] = RoundToBF16(x[i]);
}

// for i in 0 .. n: y[i] = x[i];  reads 2 n bytes, writes 4 n, no arithmetic
__global__ void __launch_bounds__(kBlock) Widen(std::int64_t n, const std::uint16_t* x, float* y, bool aligned) {
  const std::int64_t begin = GlobalThread() * kVector;
  if (aligned && begin + kVector <= n) {
    const ushort4 narrow = *reinterpret_cast<const ushort4*>(x + begin);
    Store4(y + begin, make_float4(WidenBF16(narrow.x), WidenBF16(narrow.y), WidenBF16(narrow.z), WidenBF16(narrow.w)),
           true);
    return;
  }
  for (std::int64_t i = begin; i < n && i < begin + kVector; ++i) y[i] = WidenBF16(x[i]);
}

}  // namespace kernels

void CudaDevice::ReluBackward(std::int64_t n, const float* before, const float* d_y, float* d_x) {
  const Range range("relu backward");
  OverStreams(stream(), n, kernels::ReluGradient{}, {before, d_y}, {d_x});
}

void CudaDevice::GeluForward(std::int64_t n, const float* x, float* y) {
  const Range range("gelu forward");
  OverStreams(stream(), n, kernels::GeluValue{}, {x}, {y});
}

void CudaDevice::GeluBackward(std::int64_t n, const float* before, const float* d_y, float* d_x) {
  const Range range("gelu backward");
  OverStreams(stream(), n, kernels::GeluGradient{}, {before, d_y}, {d_x});
}

void CudaDevice::Add(std::int64_t n, const float* a, const float* b, float* y) {
  OverStreams(stream(), n, kernels::Sum2{}, {a, b}, {y});
}

void CudaDevice::Scale(std::int64_t n, float factor, float* x) {
  OverStreams(stream(), n, kernels::Scaled{factor}, {x}, {x});
}

void CudaDevice::ToBF16(std::int64_t n, const float* x, std::uint16_t* y) {
  const bool aligned = Aligned(sizeof(float4), x) && Aligned(sizeof(ushort4), y);
  Launch<kernels::Narrow>(stream(), FlatGrid(Ceiling(n, kVector)), 0, n, x, y, aligned);
}

void CudaDevice::FromBF16(std::int64_t n, const std::uint16_t* x, float* y) {
  const bool aligned = Aligned(sizeof(float4), y) && Aligned(sizeof(ushort4), x);
  Launch<kernels::Widen>(stream(), FlatGrid(Ceiling(n, kVector)), 0, n, x, y, aligned);
}

}  // namespace lockstep::backends::cuda
