#include "reference/virtual_gpu/runtime/touch.h"

#include "reference/virtual_gpu/runtime/runtime.h"

#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
void __tsan_read_range(void* data, std::size_t bytes);
void __tsan_write_range(void* data, std::size_t bytes);
}
// NOLINTEND(bugprone-reserved-identifier)
#endif

namespace lockstep::virtual_gpu {
namespace {

cudaError_t Check(const char* call, const char* operand, const void* data, std::size_t bytes) {
  if (bytes == 0) return cudaSuccess;
  const OwnAffairs own;
  Runtime& runtime = Runtime::Get();
  const Device* const device = runtime.Holding(data);
  char text[256] = "host memory that is not pinned";
  if (device == nullptr) {
    if (runtime.host_memory.Find(data, bytes) != nullptr) return cudaSuccess;
  } else {
    if (device->memory().Find(data, bytes).data != nullptr) return cudaSuccess;
    device->memory().Describe(data, text, sizeof text);
  }
  return Refuse(cudaErrorIllegalAddress, "%s: %s, %zu bytes at %p, is not within one allocation: it starts in %s", call,
                operand, bytes, data, text);
}

// Touches the first byte that may not be touched, for AddressSanitizer to report it.
void TouchPoison([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t bytes) {
#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
  const void* const poisoned = __asan_region_is_poisoned(const_cast<void*>(data), bytes);
  if (poisoned != nullptr) [[maybe_unused]]
    const char byte = *static_cast<const volatile char*>(poisoned);
#endif
}

}  // namespace

cudaError_t WillRead(const char* call, const char* operand, const void* data, std::size_t bytes) {
  if (const cudaError_t error = Check(call, operand, data, bytes); error != cudaSuccess) return error;
  TouchPoison(data, bytes);
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
  __tsan_read_range(const_cast<void*>(data), bytes);
#endif
  return cudaSuccess;
}

cudaError_t WillWrite(const char* call, const char* operand, void* data, std::size_t bytes) {
  if (const cudaError_t error = Check(call, operand, data, bytes); error != cudaSuccess) return error;
  TouchPoison(data, bytes);
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
  __tsan_write_range(data, bytes);
#endif
  return cudaSuccess;
}

}  // namespace lockstep::virtual_gpu
