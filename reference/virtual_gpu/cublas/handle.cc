#include "reference/virtual_gpu/cublas/handle.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "reference/virtual_gpu/runtime/seen.h"
#include "reference/virtual_gpu/runtime/usable.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

constexpr std::uint64_t kAlive = 0x63756c6173616c76;

}  // namespace

cublasStatus_t Refuse(cublasStatus_t status, const char* call, const char* format, ...) {
  char line[512];
  const int start = std::snprintf(line, sizeof line, "virtual cuBLAS: %s: ", call);
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line + start, sizeof line - static_cast<std::size_t>(start), format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "%s\n", line);
  return status;
}

cublasStatus_t CheckMemory(const char* call, const char* argument, const void* data, std::int64_t bytes, int device) {
  if (bytes <= 0) return CUBLAS_STATUS_SUCCESS;
  const std::string why = WhyNotUsable(data, bytes, device);
  if (why.empty()) return CUBLAS_STATUS_SUCCESS;
  return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "%s %s", argument, why.c_str());
}

cublasStatus_t CheckMatrix(const char* call, const char* argument, const Operand& matrix, std::int64_t rows,
                           std::int64_t columns, std::int64_t batch, std::int64_t stride, int device) {
  if (rows == 0 || columns == 0 || batch == 0) return CUBLAS_STATUS_SUCCESS;
  const std::int64_t size = SizeOf(matrix.element), last = stride * (batch - 1);
  const std::int64_t elements = (columns - 1) * matrix.leading + rows + std::abs(last);
  const char* const data = static_cast<const char*>(matrix.data);
  return CheckMemory(call, argument, data == nullptr ? nullptr : data + std::min<std::int64_t>(0, last) * size,
                     elements * size, device);
}

cublasStatus_t CheckStream(const char* call, cudaStream_t stream, int device) {
  int streams = 0;
  if (stream == nullptr || stream == cudaStreamLegacy) return CUBLAS_STATUS_SUCCESS;
  if (cudaStreamGetDevice(stream, &streams) != cudaSuccess) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "the stream is none, or destroyed");
  }
  if (streams == device) return CUBLAS_STATUS_SUCCESS;
  return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "the stream is device %d's, device %d's is needed", streams, device);
}

cublasStatus_t CheckHandle(const char* call, cublasHandle_t handle) {
  if (handle == nullptr || handle->magic != kAlive) {
    return Refuse(CUBLAS_STATUS_NOT_INITIALIZED, call, "the handle is %s", handle == nullptr ? "null" : "not one");
  }
  int device = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) {
    return Refuse(CUBLAS_STATUS_EXECUTION_FAILED, call, "the device has failed: %s", cudaGetErrorString(error));
  }
  if (device != handle->device) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "the current device is %d, the handle's is %d", device,
                  handle->device);
  }
  return CheckStream(call, handle->stream, device);
}

cublasStatus_t CheckOperation(const char* call, const char* argument, int operation) {
  if (operation == CUBLAS_OP_N || operation == CUBLAS_OP_T || operation == CUBLAS_OP_C) return CUBLAS_STATUS_SUCCESS;
  return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "%s is %d, none of CUBLAS_OP_N, _T, _C", argument, operation);
}

void Scribble(void* workspace, std::size_t bytes) {
  constexpr std::size_t kMost = 4096;
  if (workspace == nullptr || bytes == 0) return;
  const std::size_t some = std::min(bytes, kMost);
  SeeWrite(workspace, static_cast<std::int64_t>(some));
  std::memset(workspace, 0xFF, some);
}

const char* TypeName(int type) {
  switch (type) {
    case CUDA_R_32F:
      return "CUDA_R_32F";
    case CUDA_R_64F:
      return "CUDA_R_64F";
    case CUDA_R_16F:
      return "CUDA_R_16F";
    case CUDA_R_16BF:
      return "CUDA_R_16BF";
    case CUDA_R_8I:
      return "CUDA_R_8I";
    case CUDA_R_32I:
      return "CUDA_R_32I";
    default:
      return "an unknown type";
  }
}

}  // namespace lockstep::virtual_gpu::cublas

using lockstep::virtual_gpu::cublas::CheckHandle;
using lockstep::virtual_gpu::cublas::CheckMemory;
using lockstep::virtual_gpu::cublas::CheckStream;
using lockstep::virtual_gpu::cublas::Refuse;

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  if (handle == nullptr) return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasCreate", "handle is null");
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) {
    return Refuse(CUBLAS_STATUS_NOT_INITIALIZED, "cublasCreate", "there is no current device");
  }
  auto made = std::make_unique<cublasContext>();
  made->magic = lockstep::virtual_gpu::cublas::kAlive;
  made->device = device;
  *handle = made.release();
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  if (handle == nullptr || handle->magic != lockstep::virtual_gpu::cublas::kAlive) {
    return Refuse(CUBLAS_STATUS_NOT_INITIALIZED, "cublasDestroy", "the handle is %s",
                  handle == nullptr ? "null" : "not one");
  }
  handle->magic = 0;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion(cublasHandle_t handle, int* version) {
  if (const auto status = CheckHandle("cublasGetVersion", handle)) return status;
  if (version == nullptr) return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasGetVersion", "version is null");
  *version = CUBLAS_VERSION;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetProperty(libraryPropertyType type, int* value) {
  if (value == nullptr) return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasGetProperty", "value is null");
  switch (type) {
    case MAJOR_VERSION:
      *value = CUBLAS_VER_MAJOR;
      return CUBLAS_STATUS_SUCCESS;
    case MINOR_VERSION:
      *value = CUBLAS_VER_MINOR;
      return CUBLAS_STATUS_SUCCESS;
    case PATCH_LEVEL:
      *value = CUBLAS_VER_PATCH;
      return CUBLAS_STATUS_SUCCESS;
  }
  return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasGetProperty", "type %d is not one", static_cast<int>(type));
}

// As in cuBLAS, the workspace is the library's own again.
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (handle != nullptr && handle->magic == lockstep::virtual_gpu::cublas::kAlive)
    handle->stream = nullptr;  // whatever became of the one before
  if (const auto status = CheckHandle("cublasSetStream", handle)) return status;
  if (const auto status = CheckStream("cublasSetStream", stream, handle->device)) return status;
  handle->stream = stream;
  handle->workspace = nullptr;
  handle->workspace_bytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream) {
  if (const auto status = CheckHandle("cublasGetStream", handle)) return status;
  if (stream == nullptr) return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasGetStream", "stream is null");
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  constexpr const char* kCall = "cublasSetWorkspace";
  if (const auto status = CheckHandle(kCall, handle)) return status;
  if (bytes > 0) {
    const auto size = static_cast<std::int64_t>(bytes);
    if (const auto status = CheckMemory(kCall, "workspace", workspace, size, handle->device)) return status;
    const auto address = reinterpret_cast<std::uintptr_t>(workspace);
    if (address % lockstep::virtual_gpu::cublas::kWorkspaceAlignment != 0) {
      return Refuse(CUBLAS_STATUS_INVALID_VALUE, kCall, "the workspace is not aligned to 256 bytes");
    }
  }
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
  if (const auto status = CheckHandle("cublasSetPointerMode", handle)) return status;
  if (mode != CUBLAS_POINTER_MODE_HOST && mode != CUBLAS_POINTER_MODE_DEVICE) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasSetPointerMode", "mode %d is not one", static_cast<int>(mode));
  }
  handle->pointer_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetPointerMode(cublasHandle_t handle, cublasPointerMode_t* mode) {
  if (const auto status = CheckHandle("cublasGetPointerMode", handle)) return status;
  if (mode == nullptr) return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasGetPointerMode", "mode is null");
  *mode = handle->pointer_mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (const auto status = CheckHandle("cublasSetMathMode", handle)) return status;
  const int base = mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  if (base != CUBLAS_DEFAULT_MATH && base != CUBLAS_PEDANTIC_MATH && base != CUBLAS_TF32_TENSOR_OP_MATH) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasSetMathMode", "mode %d is not covered", static_cast<int>(mode));
  }
  handle->math_mode = mode;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t* mode) {
  if (const auto status = CheckHandle("cublasGetMathMode", handle)) return status;
  if (mode == nullptr) return Refuse(CUBLAS_STATUS_INVALID_VALUE, "cublasGetMathMode", "mode is null");
  *mode = handle->math_mode;
  return CUBLAS_STATUS_SUCCESS;
}
