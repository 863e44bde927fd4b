// How a thread sleeps until another one, of any process, has news for it: a futex in shared memory. Nothing here spins:
// there are more ranks than cores.
//
// The sleeper reads Count(), looks for something to do, finds nothing, and Rest()s with that count; a Ring() in between
// keeps it awake. One thread rests on a doorbell at a time; anybody rings.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace lockstep::virtual_gpu::nccl {

class alignas(64) Doorbell {
 public:
  std::uint32_t Count() const { return count_.load(std::memory_order_seq_cst); }
  void Ring();
  // Until the count is another one, or the time is over: false.
  bool Rest(std::uint32_t count, std::chrono::nanoseconds longest);

 private:
  std::atomic<std::uint32_t> count_;
  std::atomic<std::uint32_t> resting_;
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace lockstep::virtual_gpu::nccl
