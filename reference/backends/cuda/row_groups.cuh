// Rows dealt to groups of threads, and sums over a row in an order that its width alone decides.
//
// A group is `lanes` threads: a power of two up to a warp, or a whole block for very wide rows. Lane l takes the
// vectors l, l + lanes, ... of its row; then lanes exchange by shuffles, in a block over shared memory. Narrow rows
// share a warp; a group of one lane exchanges nothing. Every thread of a block takes part, also where there is no row
// for it.
#pragma once

#include <algorithm>
#include <cmath>

#include "reference/backends/cuda/launch.cuh"
#include "reference/backends/cuda/vectors.cuh"

namespace lockstep::backends::cuda {

inline constexpr unsigned kEveryLane = 0xFFFFFFFFu;

// Blocks of (lanes, rows). vectors_each: how many vectors a lane should have before another lane is worth its exchange.
inline Grid RowGrid(std::int64_t rows, std::int64_t width, std::int64_t vectors_each) {
  constexpr std::int64_t kWide = 8192;
  unsigned lanes = 1;
  while (lanes < kWarp && lanes * vectors_each * kVector < width) lanes *= 2;
  if (width >= kWide) lanes = kBlock;
  unsigned each = std::max(1u, kWarp / lanes);  // whole warps
  while (each * lanes < kBlock && each < rows) each *= 2;
  return {dim3(static_cast<unsigned>(Ceiling(rows, each))), dim3(lanes, each)};
}

__device__ inline std::int64_t RowOfThread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
}

// for every vector of the row that this lane has: body(its first column)
template <typename Body>
__device__ inline void ForVectors(std::int64_t width, const Body& body) {
  for (std::int64_t j = threadIdx.x * kVector; j < width; j += blockDim.x * kVector) body(j);
}

struct Plus {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN where one is NaN.
struct Larger {
  __device__ float operator()(float a, float b) const { return a != a || a > b ? a : b; }
};

// The lanes' values combined, for every lane the same: neighbours by pairs, then the warps of a block in order.
template <typename T, typename Combine>
__device__ inline T OverLanes(T value, const Combine& combine) {
  const unsigned lanes = blockDim.x < kWarp ? blockDim.x : kWarp;
  for (unsigned apart = lanes / 2; apart > 0; apart /= 2) {
    value = combine(value, __shfl_xor_sync(kEveryLane, value, static_cast<int>(apart)));
  }
  if (blockDim.x <= kWarp) return value;
  __shared__ T of_warps[kBlock / kWarp];
  __syncthreads();  // those who still read what was there before
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = of_warps[0];
  for (unsigned warp = 1; warp < blockDim.x / kWarp; ++warp) value = combine(value, of_warps[warp]);
  return value;
}

}  // namespace lockstep::backends::cuda
