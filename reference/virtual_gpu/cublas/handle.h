// What cuBLAS's and cublasLt's entry points share: the handle, how a call is refused, and the checks of pointers.
#pragma once

#include <cublas_v2.h>

#include <cstddef>
#include <cstdint>

#include "reference/virtual_gpu/cublas/product.h"

struct cublasContext {
  std::uint64_t magic = 0;
  int device = 0;
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST;
  cublasMath_t math_mode = CUBLAS_DEFAULT_MATH;
};

namespace lockstep::virtual_gpu::cublas {

// Prints "virtual cuBLAS: CALL: WHY" on standard error and returns `status`. Real cuBLAS only returns it.
__attribute__((format(printf, 3, 4))) cublasStatus_t Refuse(cublasStatus_t status, const char* call, const char* format,
                                                            ...);

// Whether a kernel could use `data`: memory of `device`, or pinned memory of the host. Else the call is refused, named.
cublasStatus_t CheckDevicePointer(const char* call, const char* argument, const void* data, int device);

// CUBLAS_STATUS_SUCCESS if the handle is alive and its device is the current one.
cublasStatus_t CheckHandle(const char* call, cublasHandle_t handle);

cublasStatus_t CheckOperation(const char* call, const char* argument, int operation);

// The workspace's content is cuBLAS's while a product runs: its first bytes are overwritten, so that one workspace for
// two streams, or for something else as well, shows.
void Scribble(void* workspace, std::size_t bytes);
inline constexpr std::size_t kWorkspaceAlignment = 256;

const char* TypeName(int type);  // "CUDA_R_32F"

}  // namespace lockstep::virtual_gpu::cublas
