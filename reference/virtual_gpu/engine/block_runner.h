// Runs the threads of a block, one after another on one OS thread, each on a fiber of its own from where it blocks.
//
// A thread runs to completion until it meets others; a fiber then starts the next thread, so a kernel without barriers
// needs one fiber and no switch a thread. Under ThreadSanitizer every thread of the block has its own fiber and no
// order with the others but the meetings'. Holds one block at a time; knows nothing of streams or memory.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "reference/virtual_gpu/engine/execution.h"
#include "reference/virtual_gpu/engine/fiber.h"
#include "reference/virtual_gpu/engine/kernel_body.h"
#include "reference/virtual_gpu/engine/ready_queue.h"
#include "reference/virtual_gpu/engine/shared_memory.h"
#include "reference/virtual_gpu/engine/thread_index.h"
#include "reference/virtual_gpu/engine/warp.h"

namespace lockstep::virtual_gpu {

// Of threads in a block and of blocks in a grid. A kernel without defects gives the same bytes in each.
enum class Order : std::uint8_t { kForward, kReverse, kRandom };

struct Grid {
  const char* name = nullptr;
  dim3 blocks, threads;
  std::size_t shared_bytes = 0;  // dynamic
  const KernelBody* body = nullptr;
  Order order = Order::kForward;
  std::uint64_t seed = 0;
};

inline constexpr unsigned kMaxBlockThreads = 1024, kWarpLanes = 32;

class BlockRunner {
 public:
  BlockRunner() = default;
  BlockRunner(const BlockRunner&) = delete;
  BlockRunner& operator=(const BlockRunner&) = delete;

  // Returns when every thread of block `block` has ended.
  void Run(const Grid& grid, uint3 block);

  // The runner whose kernel thread this OS thread runs now, or null.
  static BlockRunner* Current();

  const Grid& grid() const { return *grid_; }
  void* shared() { return shared_.data(); }
  int MeetBlock(BarrierKind kind, int predicate, Site site);
  std::uint64_t MeetWarp(WarpKind kind, unsigned mask, std::uint64_t value, unsigned source, Site site);
  void Fence();

  bool StackGuardHolds(const void* address) const;  // of the thread that runs now
  bool SharedGuardHolds(const void* address) const { return shared_.GuardHolds(address); }

 private:
  struct Barrier {
    unsigned arrived = 0, predicates = 0;
    BarrierKind kind = BarrierKind::kPlain;
    Site site{};
    uint3 first{};
    std::vector<Fiber*> waiting;
  };

  void Prepare(const Grid& grid, uint3 block);
  static void FiberMain();
  void RunThread(Fiber* self, unsigned thread);
  void ThreadEnded(unsigned thread);
  bool FreshFirst();  // in random order: whether a thread that has not begun goes before one that is ready
  bool Fresh() const { return next_ < threads_; }
  Fiber* Pick();
  Fiber* IdleFiber();
  void Suspend();
  void ContinueAmong(Fiber* self);
  void CompleteBarrier(Fiber* self);
  [[noreturn]] void Deadlock();

  const Grid* grid_ = nullptr;
  Fiber main_;
  Fiber* current_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  ReadyQueue ready_;
  Barrier barrier_;
  std::vector<Warp> warps_;
  std::vector<std::uint16_t> order_;
  std::vector<uint3> indices_;  // threadIdx of each thread
  dim3 indexed_{0, 0, 0};       // the block size that they are of
  Order ordered_ = Order::kForward;
  SharedMemory shared_;
  std::minstd_rand random_;
  unsigned threads_ = 0, next_ = 0, alive_ = 0;
  char begin_ = 0, end_ = 0;  // ThreadSanitizer's: what the block's threads follow, and what follows them
};

}  // namespace lockstep::virtual_gpu
