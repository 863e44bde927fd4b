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

// Whether `bytes` of memory from `data` on may be used on `device`. Else the call is refused, and the argument named.
cublasStatus_t CheckMemory(const char* call, const char* argument, const void* data, std::int64_t bytes, int device);
// The same for `batch` matrices of `rows` by `columns`, `stride` elements apart.
cublasStatus_t CheckMatrix(const char* call, const char* argument, const Operand& matrix, std::int64_t rows,
                           std::int64_t columns, std::int64_t batch, std::int64_t stride, int device);

// CUBLAS_STATUS_SUCCESS if the handle is alive, its device is the current one and has not failed, and its stream lives.
cublasStatus_t CheckHandle(const char* call, cublasHandle_t handle);
// Whether the stream is one of `device`.
cublasStatus_t CheckStream(const char* call, cudaStream_t stream, int device);

cublasStatus_t CheckOperation(const char* call, const char* argument, int operation);

// The workspace's content is cuBLAS's while a product runs: its first bytes are overwritten, so that one workspace for
// two streams, or for something else as well, shows.
void Scribble(void* workspace, std::size_t bytes);
inline constexpr std::size_t kWorkspaceAlignment = 256;

const char* TypeName(int type);  // "CUDA_R_32F"

}  // namespace lockstep::virtual_gpu::cublas
