// Floats as integers of the same order, and back: for a maximum that keeps NaN.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace lockstep::backends::cuda {

// x (n) in place: the bits of a signed integer, which is larger where the float is larger; NaN is the largest of all.
void ToOrderedIntegers(cudaStream_t stream, std::int64_t n, float* x);
// The other way round.
void FromOrderedIntegers(cudaStream_t stream, std::int64_t n, float* x);

}  // namespace lockstep::backends::cuda
