// Host memory that the program has pinned: what may be copied asynchronously and what kernels may read.
//
// Fresh memory is 0xFF bytes, as the device's is. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>

namespace lockstep::virtual_gpu {

class HostMemory {
 public:
  void* Allocate(std::size_t bytes);             // null: no memory
  bool Free(void* data);                         // false: not of Allocate
  bool Register(void* data, std::size_t bytes);  // false: some of it is pinned already
  bool Unregister(void* data);
  // The pinned range that holds [address, address + bytes): its start, or null. 0 bytes: its end counts as inside.
  void* Find(const void* address, std::size_t bytes) const;

 private:
  struct Range {
    std::size_t bytes = 0;
    bool owned = false;
  };

  mutable std::mutex mutex_;
  std::map<char*, Range> ranges_;
};

}  // namespace lockstep::virtual_gpu
