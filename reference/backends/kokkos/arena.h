// Host memory in blocks that are kept and handed out again, so that a step in steady state costs no page fault.
//
// Blocks are 64-byte aligned and recycled by their rounded size. What is kept unused stays below what was once in use
// together; beyond that all unused blocks go back. Counts nothing: MemoryLedger does. Not thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

namespace lockstep::backends::kokkos {

class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* Take(std::size_t bytes);             // throws std::bad_alloc
  void Give(void* data, std::size_t bytes);  // bytes as they were taken

 private:
  void Release();

  std::map<std::size_t, std::vector<void*>> unused_;  // by rounded size
  std::size_t unused_bytes_ = 0, used_bytes_ = 0, most_used_ = 0;
};

}  // namespace lockstep::backends::kokkos
