// Tells ThreadSanitizer which device memory a library's work reads and writes.
//
// The libraries are compiled without -fsanitize=thread, so that their own hand-overs are no news; what they do to
// device memory is, and a missing wait before or after a product or a collective shows by these. They do nothing in
// other builds.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/engine/sanitizers.h"

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the interface
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
extern "C" {
void __tsan_read_range(void* data, unsigned long bytes);
void __tsan_write_range(void* data, unsigned long bytes);
}
#endif
// NOLINTEND(bugprone-reserved-identifier)

namespace lockstep::virtual_gpu {

#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
inline void SeeRead(const void* data, std::int64_t bytes) {
  if (bytes > 0) __tsan_read_range(const_cast<void*>(data), static_cast<unsigned long>(bytes));
}
inline void SeeWrite(void* data, std::int64_t bytes) {
  if (bytes > 0) __tsan_write_range(data, static_cast<unsigned long>(bytes));
}
#else
inline void SeeRead(const void*, std::int64_t) {}
inline void SeeWrite(void*, std::int64_t) {}
#endif

}  // namespace lockstep::virtual_gpu
