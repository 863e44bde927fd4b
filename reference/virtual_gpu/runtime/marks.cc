#include "reference/virtual_gpu/runtime/marks.h"

#include <cstring>

#include "reference/virtual_gpu/engine/sanitizers.h"
#include "reference/virtual_gpu/runtime/enqueue.h"

namespace lockstep::virtual_gpu {

void MarkUnused(cudaStream_t stream, void* data, std::size_t bytes) {
  Enqueue(stream, "MarkUnused", [=] {
    Unpoison(data, bytes);
    std::memset(data, 0xFF, bytes);
    Poison(data, bytes);
    return cudaSuccess;
  });
}

void MarkUsed(cudaStream_t stream, void* data, std::size_t bytes) {
  Enqueue(stream, "MarkUsed", [=] {
    Unpoison(data, bytes);
    return cudaSuccess;
  });
}

}  // namespace lockstep::virtual_gpu
