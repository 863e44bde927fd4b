// A block's dynamic shared memory: it ends where a page that may not be touched begins, and starts out as 0xFF bytes.
//
// An access past its end faults (AddressSanitizer names it before that); one before its start is caught under
// AddressSanitizer alone. One for each OS thread that runs blocks, made when a kernel first asks for some.
#pragma once

#include <cstddef>

namespace lockstep::virtual_gpu {

inline constexpr std::size_t kMaxSharedBytes = 227 << 10;  // a block's, as on compute capability 9.0

class SharedMemory {
 public:
  SharedMemory() = default;
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  void Begin(std::size_t bytes);  // of the next block, at most kMaxSharedBytes
  void* data() const { return data_; }
  bool GuardHolds(const void* address) const;

 private:
  char* memory_ = nullptr;
  char* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace lockstep::virtual_gpu
