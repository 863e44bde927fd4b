// A fiber: a stack with a guard page below it, and the registers saved on it. One fiber runs one kernel thread at a
// time.
//
// A fiber stays on the OS thread that made it (kernels keep addresses of thread-local variables). Switching costs a few
// nanoseconds: only the registers that a call preserves are saved. Knows nothing of blocks and order.
#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>

#include "reference/virtual_gpu/engine/site.h"

namespace lockstep::virtual_gpu {

inline constexpr std::size_t kStackBytes = 128 << 10;  // of a kernel thread: local arrays and calls

// Why a fiber does not run: what a diagnosis of a deadlock tells.
enum class Waiting : std::uint8_t { kNo, kBarrier, kWarp };

struct Fiber {
  // The fiber of the OS thread itself: no stack of its own.
  Fiber() = default;
  // A fiber that runs `entry` on its first switch; `entry` never returns. `colour` shifts its stack by cache lines, so
  // that equal frames of many fibers do not fall into one set of the cache. Aborts when there is no memory.
  Fiber(void (*entry)(), unsigned colour);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  bool GuardHolds(const void* address) const;  // in the page below the stack

  void* stack_pointer = nullptr;
  char* stack = nullptr;
  std::size_t stack_bytes = 0;
  bool owns_stack = false;
  void* fake_stack = nullptr;  // AddressSanitizer's
  void* identity = nullptr;    // ThreadSanitizer's

  unsigned thread = 0;  // of the block, linear
  uint3 index{};        // threadIdx
  std::uint64_t result = 0;
  Waiting waiting = Waiting::kNo;
  unsigned wait_mask = 0;
  Site site{};
};

// Goes on with `to`; returns when something switches back to `from`, the fiber that runs now.
void Switch(Fiber* from, Fiber* to);

// What a fiber does first, on its own stack. `thread_fiber` learns its stack's bounds, which AddressSanitizer needs.
void Entered(Fiber* thread_fiber);

}  // namespace lockstep::virtual_gpu
