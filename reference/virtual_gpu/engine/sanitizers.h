// What sanitizers must be told about fibers and about order, as functions that do nothing in other builds.
//
// The engine and the runtime are compiled without -fsanitize=thread (their own hand-overs are not what is looked for)
// but with LOCKSTEP_VIRTUAL_GPU_TSAN=1, and say by Release and Acquire which order CUDA promises: no more, or races of
// kernels would hide behind a lock of ours; no less, or correct kernels would be called races.
#pragma once

#include <cstddef>

#include "reference/virtual_gpu/engine/qualifiers.h"

#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreSyncBegin(const char* file, int line);
void AnnotateIgnoreSyncEnd(const char* file, int line);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace lockstep::virtual_gpu {

#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
inline constexpr bool kAddressSanitizer = true;
inline void Poison(const void* data, std::size_t bytes) { __asan_poison_memory_region(data, bytes); }
inline void Unpoison(const void* data, std::size_t bytes) { __asan_unpoison_memory_region(data, bytes); }
#else
inline constexpr bool kAddressSanitizer = false;
inline void Poison(const void*, std::size_t) {}
inline void Unpoison(const void*, std::size_t) {}
#endif

#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
inline constexpr bool kThreadSanitizer = true;

#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN_OWN
inline constexpr bool kLookAtOurselves = true;  // the build that looks for races of the runtime itself
#else
inline constexpr bool kLookAtOurselves = false;
#endif

// How many OwnAffairs this OS thread is in.
inline thread_local constinit int own_affairs = 0;

inline void Release(void* where) {
  if (own_affairs > 0) AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  __tsan_release(where);
  if (own_affairs > 0) AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
}
inline void Acquire(void* where) {
  if (own_affairs > 0) AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  __tsan_acquire(where);
  if (own_affairs > 0) AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
}

// While it lives, what this OS thread locks, reads and writes gives no order and is no race: our own affairs. Release
// and Acquire count all the same. Not on a kernel's fiber.
class OwnAffairs {
 public:
  OwnAffairs() {
    if (kLookAtOurselves || own_affairs++ > 0) return;
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~OwnAffairs() {
    if (kLookAtOurselves || --own_affairs > 0) return;
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  }
  OwnAffairs(const OwnAffairs&) = delete;
  OwnAffairs& operator=(const OwnAffairs&) = delete;
};

// The reverse, within OwnAffairs: what happens here is the program's and is looked at.
class ProgramsAffairs {
 public:
  ProgramsAffairs() : depth_(own_affairs) {
    own_affairs = 0;
    if (depth_ == 0) return;
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  }
  ~ProgramsAffairs() {
    own_affairs = depth_;
    if (depth_ == 0) return;
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ProgramsAffairs(const ProgramsAffairs&) = delete;
  ProgramsAffairs& operator=(const ProgramsAffairs&) = delete;

 private:
  const int depth_;
};
#else
inline constexpr bool kThreadSanitizer = false;
inline void Release(void*) {}
inline void Acquire(void*) {}

class OwnAffairs {
 public:
  OwnAffairs() {}
  ~OwnAffairs() {}
  OwnAffairs(const OwnAffairs&) = delete;
  OwnAffairs& operator=(const OwnAffairs&) = delete;
};
class ProgramsAffairs {
 public:
  ProgramsAffairs() {}
  ~ProgramsAffairs() {}
  ProgramsAffairs(const ProgramsAffairs&) = delete;
  ProgramsAffairs& operator=(const ProgramsAffairs&) = delete;
};
#endif

}  // namespace lockstep::virtual_gpu
