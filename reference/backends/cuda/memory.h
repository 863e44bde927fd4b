// Blocks of device memory, at least 256-byte aligned, as cudaMalloc gives them.
#pragma once

#include <cstddef>

#include "reference/backends/cuda/check.h"

namespace lockstep::backends::cuda {

struct DeviceBlocks {
  static constexpr std::size_t kRounding = 512;
  static void* Take(std::size_t bytes) {
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, bytes);
    if (status == cudaErrorMemoryAllocation) {
      static_cast<void>(cudaGetLastError());  // said by the caller
      return nullptr;
    }
    CUDA_CHECK(status);
    return data;
  }
  static void Give(void* block) noexcept { static_cast<void>(cudaFree(block)); }  // waits for the device
};

}  // namespace lockstep::backends::cuda
