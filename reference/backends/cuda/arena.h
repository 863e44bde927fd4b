// Device memory in blocks that are kept and handed out again: cudaMalloc stops the device, so a step in steady state
// calls it no more.
//
// Blocks are recycled by their rounded size and are at least 256-byte aligned. A block may be given back while the
// device still uses it: whoever takes it next enqueues on the same stream. What is kept unused stays below what was
// once in use together; beyond that, or when the device has no more, all unused blocks go back. Under AddressSanitizer
// every block is a cudaMalloc of its own, not rounded, so that an access beyond its end is seen. Counts nothing:
// MemoryLedger does. Not thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define LOCKSTEP_EXACT_BLOCKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOCKSTEP_EXACT_BLOCKS 1
#endif
#endif

namespace lockstep::backends::cuda {

class Arena {
 public:
#ifdef LOCKSTEP_EXACT_BLOCKS
  static constexpr bool kRecycles = false;
#else
  static constexpr bool kRecycles = true;
#endif

  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* Take(std::size_t bytes);             // nullptr where the device has no more
  void Give(void* data, std::size_t bytes);  // bytes as they were taken

 private:
  void Release();

  std::map<std::size_t, std::vector<void*>> unused_;  // by rounded size
  std::size_t unused_bytes_ = 0, used_bytes_ = 0, most_used_ = 0;
};

}  // namespace lockstep::backends::cuda
