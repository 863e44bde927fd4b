#include "reference/virtual_gpu/runtime/enqueue.h"

#include <utility>

#include "reference/virtual_gpu/runtime/runtime.h"
#include "reference/virtual_gpu/runtime/submit.h"

namespace lockstep::virtual_gpu {

void Enqueue(cudaStream_t handle, const char* name, std::function<cudaError_t()> work) {
  Call([&](Device&) -> cudaError_t {
    const auto stream = Runtime::Get().StreamOf(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    return Submit(stream, {.name = name, .run = std::move(work)});
  });
}

}  // namespace lockstep::virtual_gpu
