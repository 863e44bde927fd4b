// threadIdx and its kin: where the kernel thread that runs now stands. Set by the engine, read by kernels.
#pragma once

#include <vector_types.h>

inline thread_local constinit uint3 threadIdx{};
inline thread_local constinit uint3 blockIdx{};
inline thread_local constinit dim3 blockDim{};
inline thread_local constinit dim3 gridDim{};
inline constexpr int warpSize = 32;
