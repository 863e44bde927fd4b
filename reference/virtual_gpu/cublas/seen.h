// Tells ThreadSanitizer which of a caller's elements a product reads and writes.
//
// The library is compiled without -fsanitize=thread, so that its own hand-overs are no news; what it does to device
// memory is, and a missing wait before or after a product shows by these. They do nothing in other builds.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/cublas/pack.h"

#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
extern "C" {
void __tsan_read_range(void* data, unsigned long bytes);
void __tsan_write_range(void* data, unsigned long bytes);
}
#endif

namespace lockstep::virtual_gpu::cublas {

#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
inline constexpr bool kThreadSanitizer = true;
inline void SeeRead(const void* data, std::int64_t bytes) {
  __tsan_read_range(const_cast<void*>(data), static_cast<unsigned long>(bytes));
}
inline void SeeWrite(void* data, std::int64_t bytes) { __tsan_write_range(data, static_cast<unsigned long>(bytes)); }
#else
inline constexpr bool kThreadSanitizer = false;
inline void SeeRead(const void*, std::int64_t) {}
inline void SeeWrite(void*, std::int64_t) {}
#endif

// k terms of `count` units.
inline void SeeRead(const Side& side, std::int64_t first, std::int64_t count, std::int64_t k) {
  const bool along_units = side.unit_stride == 1;
  const std::int64_t size = SizeOf(side.element);
  const char* const data = static_cast<const char*>(side.data) + first * side.unit_stride * size;
  const std::int64_t runs = along_units ? k : count, length = along_units ? count : k;
  const std::int64_t stride = along_units ? side.term_stride : side.unit_stride;
  for (std::int64_t run = 0; run < runs; ++run) SeeRead(data + run * stride * size, length * size);
}

}  // namespace lockstep::virtual_gpu::cublas
