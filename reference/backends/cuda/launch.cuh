// The one way a kernel is launched: cudaLaunchKernelEx on a real GPU, the kernel engine on a virtual one.
//
//   Launch<Kernel>(stream, grid, shared_bytes, arguments...);
// Nothing is launched for an empty grid, so that sizes of 0 need no care at the call. A file's kernels are in namespace
// `kernels` and not in one without a name, so that they are visible in its PTX under a name that does not change.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "reference/backends/cuda/check.h"

namespace lockstep::backends::cuda {

inline constexpr unsigned kWarp = 32;
inline constexpr unsigned kBlock = 256;  // threads of a block, at most

// n / each, rounded up
constexpr std::int64_t Ceiling(std::int64_t n, std::int64_t each) { return (n + each - 1) / each; }

struct Grid {
  dim3 grid, block;
};

// A thread for every one of n items, in whole warps.
inline Grid FlatGrid(std::int64_t n) {
  const std::int64_t block = std::min<std::int64_t>(kBlock, Ceiling(n, kWarp) * kWarp);
  if (n == 0) return {dim3(0), dim3(kWarp)};
  return {dim3(static_cast<unsigned>(Ceiling(n, block))), dim3(static_cast<unsigned>(block))};
}

// "kernels::Normalize", from what the compiler calls this function.
template <auto kKernel>
const char* NameOf() {
  static const std::string name = [](std::string whole) {
    const std::size_t begin = whole.find("kKernel = ");
    return begin == std::string::npos ? whole : whole.substr(begin + 10, whole.find_last_of("];") - begin - 10);
  }(__PRETTY_FUNCTION__);
  return name.c_str();
}

template <auto kKernel, typename... Arguments>
void Launch(cudaStream_t stream, const Grid& grid, std::size_t shared_bytes, Arguments... arguments) {
  if (grid.grid.x == 0 || grid.grid.y == 0) return;
#ifdef LOCKSTEP_VIRTUAL_GPU
  const cudaError_t status =
      virtual_gpu::Launch(stream, grid.grid, grid.block, shared_bytes, NameOf<kKernel>(), kKernel, arguments...);
#else
  cudaLaunchConfig_t config{};
  config.gridDim = grid.grid;
  config.blockDim = grid.block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  const cudaError_t status = cudaLaunchKernelEx(&config, kKernel, arguments...);
#endif
  CheckCuda(status, NameOf<kKernel>(), __FILE__, __LINE__);
}

// This thread's number in the grid, of one-dimensional blocks.
__device__ inline std::int64_t GlobalThread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

}  // namespace lockstep::backends::cuda
