// The elementwise kernel: functions of a few streams of n floats, four neighbours a thread.
//
//   struct Add { __device__ void operator()(const float (&in)[2], float (&out)[1]) const { out[0] = in[0] + in[1]; } };
//   OverStreams(stream, n, Add{}, {a, b}, {y});
// An output may be one of the inputs: a thread reads its elements before it writes them.
#pragma once

#include "reference/backends/cuda/launch.cuh"
#include "reference/backends/cuda/vectors.cuh"

namespace lockstep::backends::cuda {

template <int kInputs, int kOutputs>
struct Streams {
  const float* in[kInputs];
  float* out[kOutputs];
};

// for i in 0 .. n: out[..][i] = function(in[..][i]);  reads 4 kInputs n bytes, writes 4 kOutputs n, does `function` n
// times
template <typename Function, int kInputs, int kOutputs>
__global__ void __launch_bounds__(kBlock)
    Elementwise(std::int64_t n, Function function, Streams<kInputs, kOutputs> streams, bool aligned) {
  const std::int64_t begin = GlobalThread() * kVector;
  if (begin >= n) return;
  float in[kVector][kInputs], out[kVector][kOutputs];  // in registers: the loops unroll, as ci/cuda holds them to
  for (int s = 0; s < kInputs; ++s) {
    const float4 four = Load4Of(streams.in[s], begin, n, aligned, 0.0f);
    in[0][s] = four.x;
    in[1][s] = four.y;
    in[2][s] = four.z;
    in[3][s] = four.w;
  }
  for (int c = 0; c < kVector; ++c) function(in[c], out[c]);
  for (int s = 0; s < kOutputs; ++s) {
    Store4Of(streams.out[s], begin, n, make_float4(out[0][s], out[1][s], out[2][s], out[3][s]), aligned);
  }
}

template <typename Function, int kInputs, int kOutputs>
void OverStreams(cudaStream_t stream, std::int64_t n, const Function& function, const float* const (&in)[kInputs],
                 float* const (&out)[kOutputs]) {
  Streams<kInputs, kOutputs> streams{};
  bool aligned = true;
  for (int s = 0; s < kInputs; ++s) {
    streams.in[s] = in[s];
    aligned = aligned && Aligned(sizeof(float4), in[s]);
  }
  for (int s = 0; s < kOutputs; ++s) {
    streams.out[s] = out[s];
    aligned = aligned && Aligned(sizeof(float4), out[s]);
  }
  Launch<Elementwise<Function, kInputs, kOutputs>>(stream, FlatGrid(Ceiling(n, kVector)), 0, n, function, streams,
                                                   aligned);
}

}  // namespace lockstep::backends::cuda
