// CUDA C++ for the host compiler: the runtime's calls, the device side's names, and the launch of a kernel.
//
// A `.cu` file compiled as C++20 with this folder first on the include path becomes a program for virtual GPUs. The
// toolkit's own headers are never included. LOCKSTEP_VIRTUAL_GPU is 1 in such a build.
#pragma once

#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include "reference/virtual_gpu/engine/device_side.h"
#include "reference/virtual_gpu/runtime/launch.h"

template <typename T>
cudaError_t cudaMalloc(T** data, std::size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(data), bytes);
}

template <typename T>
cudaError_t cudaMallocHost(T** data, std::size_t bytes) {
  return cudaMallocHost(reinterpret_cast<void**>(data), bytes);
}

template <typename T>
cudaError_t cudaHostAlloc(T** data, std::size_t bytes, unsigned flags) {
  return cudaHostAlloc(reinterpret_cast<void**>(data), bytes, flags);
}

template <typename... Parameters>
cudaError_t cudaFuncSetAttribute(void (*kernel)(Parameters...), cudaFuncAttribute attribute, int value) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

// Registers are not modelled: threads, blocks and dynamic shared memory bound the answer.
template <typename... Parameters>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void (*)(Parameters...), int block_threads,
                                                          std::size_t shared_bytes) {
  return lockstep::virtual_gpu::Occupancy(blocks, block_threads, shared_bytes);
}

// Diagnoses of a kernel launched this way cannot say its name; lockstep::virtual_gpu::Launch takes one.
template <typename... Parameters, typename... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (config == nullptr || config->numAttrs != 0) return cudaErrorNotSupported;
  return lockstep::virtual_gpu::Launch(config->stream, config->gridDim, config->blockDim, config->dynamicSmemBytes,
                                       "(launched without a name)", kernel, std::forward<Arguments>(arguments)...);
}
