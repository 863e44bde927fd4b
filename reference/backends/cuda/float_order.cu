#include "reference/backends/cuda/float_order.h"
#include "reference/backends/cuda/streams.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

constexpr int kLargest = 0x7fffffff;  // also the bits of a NaN

// A float's bits are its sign and its size: read as an integer they rise with a positive float and fall with a negative
// one. Turning all but the sign of a negative one over makes them rise throughout; twice is nothing.
__device__ inline int TurnedOver(int bits) { return bits >= 0 ? bits : bits ^ kLargest; }

// out = the bits of (x is NaN ? kLargest : TurnedOver(bits of x))
struct ToOrdered {
  __device__ void operator()(const float (&in)[1], float (&out)[1]) const {
    out[0] = __int_as_float(in[0] != in[0] ? kLargest : TurnedOver(__float_as_int(in[0])));
  }
};

// out = TurnedOver(bits of x)
struct FromOrdered {
  __device__ void operator()(const float (&in)[1], float (&out)[1]) const {
    out[0] = __int_as_float(TurnedOver(__float_as_int(in[0])));
  }
};

}  // namespace kernels

void ToOrderedIntegers(cudaStream_t stream, std::int64_t n, float* x) {
  OverStreams(stream, n, kernels::ToOrdered{}, {x}, {x});
}

void FromOrderedIntegers(cudaStream_t stream, std::int64_t n, float* x) {
  OverStreams(stream, n, kernels::FromOrdered{}, {x}, {x});
}

}  // namespace lockstep::backends::cuda
