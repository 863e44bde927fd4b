// A device's memory: an arena of addresses that belongs to the device alone, with a capacity.
//
// Fresh memory is 0xFF bytes (a NaN as float). Between allocations lie gaps that nobody may touch: AddressSanitizer
// reports an access, and without it a changed gap is found by CheckGaps(). Freed memory is 0xFF again and not soon
// reused; freed large blocks fault. The whole arena can be closed, so that any access faults: the host's, when the
// device is idle. Small blocks lie together, so that closing is one call and huge pages keep it cheap.
// Thread-safe but for Close and Open, which the device orders.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>

#include "reference/virtual_gpu/runtime/pool.h"

namespace lockstep::virtual_gpu {

struct Allocation {
  char* data = nullptr;
  std::size_t bytes = 0;  // as asked for
};

class DeviceMemory {
 public:
  DeviceMemory(int device, std::size_t capacity) : device_(device), capacity_(capacity) {}
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // The arena must be open for these three.
  void* Allocate(std::size_t bytes);  // null: beyond the capacity
  bool Free(void* data);              // false: not the start of a live allocation
  void Reset();                       // frees all

  // Aborts when a gap has changed: something wrote past the end of an allocation. The arena must be open.
  void CheckGaps() const;

  std::size_t capacity() const { return capacity_; }
  std::size_t used() const;
  bool Holds(const void* address) const;  // within the arena, allocated or not; lock-free
  // The live allocation that holds [address, address + bytes), or null data. 0 bytes: its end counts as inside.
  Allocation Find(const void* address, std::size_t bytes) const;
  // "4 bytes past the end of the 400 bytes at 0x...", for a diagnosis; also fit for a signal handler.
  void Describe(const void* address, char* text, std::size_t bytes) const;

  void Close();
  void Open();

 private:
  struct Block {
    std::size_t bytes = 0, taken = 0;  // as asked for; with its gap
    bool large = false;
  };

  bool Reserve();
  char* TakeSmall(std::size_t bytes, Block& block);
  char* TakeLarge(std::size_t bytes, Block& block);
  void Give(char* data, const Block& block);
  char* GapEnd(char* data, const Block& block) const;
  void CheckGap(char* data, const Block& block) const;
  void Protect(int protection);

  const int device_;
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::atomic<char*> base_{nullptr};  // set once, after the rest
  std::size_t span_ = 0;
  Pool small_, large_;
  char* committed_ = nullptr;  // end of the small blocks' pages in use
  std::size_t used_ = 0;
  std::map<char*, Block> live_;
  std::deque<Allocation> freed_;  // the last ones, for diagnoses
};

}  // namespace lockstep::virtual_gpu
