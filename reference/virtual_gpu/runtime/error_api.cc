// Errors by name and word, and the last one of a thread.
#include <algorithm>
#include <array>

#include "reference/virtual_gpu/runtime/runtime.h"

namespace lockstep::virtual_gpu {
namespace {

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};

#define LOCKSTEP_ERROR(error, text) \
  ErrorText { error, #error, text }
constexpr std::array kErrors{
    LOCKSTEP_ERROR(cudaSuccess, "no error"),
    LOCKSTEP_ERROR(cudaErrorInvalidValue, "invalid argument"),
    LOCKSTEP_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    LOCKSTEP_ERROR(cudaErrorInitializationError, "initialization error"),
    LOCKSTEP_ERROR(cudaErrorCudartUnloading, "driver shutting down"),
    LOCKSTEP_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    LOCKSTEP_ERROR(cudaErrorInvalidPitchValue, "invalid pitch argument"),
    LOCKSTEP_ERROR(cudaErrorInvalidHostPointer, "invalid host pointer"),
    LOCKSTEP_ERROR(cudaErrorInvalidDevicePointer, "invalid device pointer"),
    LOCKSTEP_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    LOCKSTEP_ERROR(cudaErrorInsufficientDriver, "driver version is insufficient for the runtime version"),
    LOCKSTEP_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    LOCKSTEP_ERROR(cudaErrorNoDevice, "no virtual device is configured"),
    LOCKSTEP_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    LOCKSTEP_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    LOCKSTEP_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    LOCKSTEP_ERROR(cudaErrorNotReady, "device not ready"),
    LOCKSTEP_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    LOCKSTEP_ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    LOCKSTEP_ERROR(cudaErrorPeerAccessAlreadyEnabled, "peer access is already enabled"),
    LOCKSTEP_ERROR(cudaErrorPeerAccessNotEnabled, "peer access has not been enabled"),
    LOCKSTEP_ERROR(cudaErrorAssert, "device-side assert triggered"),
    LOCKSTEP_ERROR(cudaErrorHostMemoryAlreadyRegistered, "part or all of the memory is already pinned"),
    LOCKSTEP_ERROR(cudaErrorHostMemoryNotRegistered, "the memory is not registered"),
    LOCKSTEP_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    LOCKSTEP_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    LOCKSTEP_ERROR(cudaErrorNotPermitted, "operation not permitted"),
    LOCKSTEP_ERROR(cudaErrorNotSupported, "operation not supported by virtual GPUs"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted while a stream is captured"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureInvalidated, "the capture was invalidated by an earlier error"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureMerge, "the operation would have merged two captures"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureUnmatched, "the capture was not begun on this stream"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureUnjoined, "a captured stream was not joined to the capture's origin"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureIsolation, "the operation would have made a captured stream wait for others"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureImplicit, "the operation would have made a captured stream wait implicitly"),
    LOCKSTEP_ERROR(cudaErrorCapturedEvent, "the event was last recorded in a capture"),
    LOCKSTEP_ERROR(cudaErrorStreamCaptureWrongThread, "the capture was begun by another thread"),
    LOCKSTEP_ERROR(cudaErrorTimeout, "the operation timed out"),
    LOCKSTEP_ERROR(cudaErrorUnknown, "unknown error"),
};
#undef LOCKSTEP_ERROR

const ErrorText* Find(cudaError_t error) {
  const auto* const found =
      std::find_if(kErrors.begin(), kErrors.end(), [&](const ErrorText& entry) { return entry.error == error; });
  return found == kErrors.end() ? nullptr : found;
}

// The device's first error stays; the thread's own is told once.
cudaError_t LastError(bool forget) {
  const OwnAffairs own;
  ThreadState& thread = OfThread();
  const cudaError_t last = thread.last_error;
  if (forget) thread.last_error = cudaSuccess;
  const Device* const device = Runtime::Get().current();
  if (device != nullptr && device->error() != cudaSuccess) return device->error();
  return last;
}

}  // namespace
}  // namespace lockstep::virtual_gpu

extern "C" {

cudaError_t cudaGetLastError() { return lockstep::virtual_gpu::LastError(true); }
cudaError_t cudaPeekAtLastError() { return lockstep::virtual_gpu::LastError(false); }

const char* cudaGetErrorName(cudaError_t error) {
  const auto* const found = lockstep::virtual_gpu::Find(error);
  return found == nullptr ? "unrecognized error code" : found->name;
}

const char* cudaGetErrorString(cudaError_t error) {
  const auto* const found = lockstep::virtual_gpu::Find(error);
  return found == nullptr ? "unrecognized error code" : found->text;
}

}  // extern "C"
