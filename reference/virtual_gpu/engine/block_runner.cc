#include "reference/virtual_gpu/engine/block_runner.h"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/engine/sanitizers.h"

namespace lockstep::virtual_gpu {
namespace {

thread_local constinit BlockRunner* current_runner = nullptr;

// Under AddressSanitizer `__shared__` variables are static (qualifiers.h), so one block at a time has them.
std::unique_lock<std::mutex> SharedVariables() {
  if constexpr (!kAddressSanitizer) return {};
  static std::mutex mutex;
  return std::unique_lock(mutex);
}

}  // namespace

BlockRunner* BlockRunner::Current() { return current_runner; }

void BlockRunner::Run(const Grid& grid, uint3 block) {
  const auto shared_variables = SharedVariables();
  Prepare(grid, block);
  current_runner = this;
  Release(&begin_);
  current_ = &main_;
  Suspend();
  Acquire(&end_);
  current_runner = nullptr;
}

void BlockRunner::Prepare(const Grid& grid, uint3 block) {
  grid_ = &grid;
  blockIdx = block;
  gridDim = grid.blocks;
  blockDim = grid.threads;
  const dim3 size = grid.threads;
  threads_ = alive_ = size.x * size.y * size.z;
  next_ = 0;
  ready_.clear();
  barrier_.arrived = barrier_.predicates = 0;
  if (size.x != indexed_.x || size.y != indexed_.y || size.z != indexed_.z) {
    indices_.resize(threads_);
    for (unsigned t = 0; t < threads_; ++t) indices_[t] = {t % size.x, t / size.x % size.y, t / (size.x * size.y)};
    indexed_ = size;
  }
  if (order_.size() != threads_ || ordered_ != grid.order || grid.order == Order::kRandom) {
    order_.resize(threads_);
    for (unsigned t = 0; t < threads_; ++t) {
      order_[t] = static_cast<std::uint16_t>(grid.order == Order::kReverse ? threads_ - 1 - t : t);
    }
    ordered_ = grid.order;
  }
  if (grid.order == Order::kRandom) {
    random_.seed(static_cast<unsigned>(grid.seed * 1000003u + (block.z * 31u + block.y) * 65537u + block.x + 1u));
    std::shuffle(order_.begin(), order_.end(), random_);
  }
  warps_.resize(std::max<std::size_t>(warps_.size(), (threads_ + kWarpLanes - 1) / kWarpLanes));
  for (unsigned w = 0; w * kWarpLanes < threads_; ++w) warps_[w].Begin(threads_ - w * kWarpLanes);
  // No allocation happens on a fiber.
  barrier_.waiting.clear();
  barrier_.waiting.reserve(kMaxBlockThreads);
  fibers_.reserve(kMaxBlockThreads + 1);
  idle_.reserve(kMaxBlockThreads + 1);
#ifdef LOCKSTEP_VIRTUAL_GPU_TSAN
  main_.identity = __tsan_get_current_fiber();
  while (fibers_.size() < threads_) {
    fibers_.push_back(std::make_unique<Fiber>(&FiberMain, static_cast<unsigned>(fibers_.size())));
  }
#endif
  shared_.Begin(grid.shared_bytes);
}

void BlockRunner::FiberMain() {
  BlockRunner* const runner = current_runner;
  Entered(&runner->main_);
  for (;;) {
    Fiber* const self = runner->current_;
    if constexpr (kThreadSanitizer) {
      runner->RunThread(self, self->thread);
    } else {
      do {
        runner->RunThread(self, runner->order_[runner->next_++]);
      } while (runner->Fresh() && (runner->ready_.empty() || runner->FreshFirst()));
      runner->idle_.push_back(self);
    }
    runner->Suspend();
  }
}

void BlockRunner::RunThread(Fiber* self, unsigned thread) {
  self->thread = thread;
  self->index = threadIdx = indices_[thread];
  Acquire(&begin_);
  grid_->body->RunThread();
  Release(&end_);
  ThreadEnded(thread);
}

void BlockRunner::ThreadEnded(unsigned thread) {
  warps_[thread / kWarpLanes].Leave(thread % kWarpLanes);
  --alive_;
  // A thread that has ended no longer counts at barriers.
  if (barrier_.arrived != 0 && barrier_.arrived == alive_) CompleteBarrier(nullptr);
}

bool BlockRunner::FreshFirst() { return grid_->order == Order::kRandom && random_() % 2 == 0; }

// What runs when the current fiber can't: a ready one, a thread that has not begun, or the OS thread's own fiber when
// all have ended.
Fiber* BlockRunner::Pick() {
  if (!ready_.empty() && !(Fresh() && FreshFirst())) {
    if (grid_->order == Order::kRandom) ready_.BringForward(static_cast<unsigned>(random_()) % ready_.size());
    return ready_.Pop();
  }
  if (Fresh()) return IdleFiber();
  if (alive_ != 0) Deadlock();
  return &main_;
}

// A fiber that will begin the next thread.
Fiber* BlockRunner::IdleFiber() {
  if constexpr (kThreadSanitizer) {
    const unsigned thread = order_[next_++];
    fibers_[thread]->thread = thread;
    return fibers_[thread].get();
  }
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(&FiberMain, static_cast<unsigned>(fibers_.size())));
    return fibers_.back().get();
  }
  Fiber* const fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

void BlockRunner::Suspend() {
  Fiber* const self = current_;
  Fiber* const next = Pick();
  if (next == self) return;
  current_ = next;
  threadIdx = next->index;
  Switch(self, next);
}

int BlockRunner::MeetBlock(BarrierKind kind, int predicate, Site site) {
  Fiber* const self = current_;
  if (barrier_.arrived == 0) {
    barrier_.kind = kind;
    barrier_.site = site;
    barrier_.first = self->index;
  } else if (barrier_.site.line != site.line || barrier_.kind != kind || barrier_.site.file != site.file) {
    DieStanding("divergent barrier: this thread is at the barrier of %s:%d, thread (%u, %u, %u) at that of %s:%d",
                FileName(site), site.line, barrier_.first.x, barrier_.first.y, barrier_.first.z,
                FileName(barrier_.site), barrier_.site.line);
  }
  Release(&barrier_);
  barrier_.predicates += predicate != 0 ? 1 : 0;
  if (++barrier_.arrived == alive_) {
    CompleteBarrier(self);
  } else {
    barrier_.waiting.push_back(self);
    self->waiting = Waiting::kBarrier;
    self->site = site;
    Suspend();
    self->waiting = Waiting::kNo;
  }
  Acquire(&barrier_);
  return static_cast<int>(self->result);
}

// `self` is the last to arrive; null when the others waited for a thread that has ended.
void BlockRunner::CompleteBarrier(Fiber* self) {
  const unsigned arrived = barrier_.arrived, predicates = barrier_.predicates;
  unsigned result = 0;
  if (barrier_.kind == BarrierKind::kCount) result = predicates;
  if (barrier_.kind == BarrierKind::kAnd) result = predicates == arrived ? 1 : 0;
  if (barrier_.kind == BarrierKind::kOr) result = predicates != 0 ? 1 : 0;
  for (Fiber* fiber : barrier_.waiting) {
    fiber->result = result;
    ready_.Push(fiber);
  }
  barrier_.waiting.clear();
  barrier_.arrived = barrier_.predicates = 0;
  if (self == nullptr) return;
  self->result = result;
  ContinueAmong(self);
}

// The fiber that released others goes on itself in forward order, and waits for its turn in the other orders.
void BlockRunner::ContinueAmong(Fiber* self) {
  if (grid_->order == Order::kForward) return;
  ready_.Push(self);
  Suspend();
}

std::uint64_t BlockRunner::MeetWarp(WarpKind kind, unsigned mask, std::uint64_t value, unsigned source, Site site) {
  Fiber* const self = current_;
  Warp& warp = warps_[self->thread / kWarpLanes];
  // Only __syncwarp orders memory among lanes; shuffles, votes and reductions don't.
  if (kind == WarpKind::kSync) Release(&warp.order);
  if (const Meeting* const meeting = warp.Arrive(self, kind, mask, value, source, site)) {
    const unsigned own = self->thread % kWarpLanes;
    for (unsigned i = 0; i < kWarpLanes; ++i) {
      const unsigned lane = grid_->order == Order::kReverse ? kWarpLanes - 1 - i : i;
      if ((meeting->mask >> lane & 1u) != 0 && lane != own) ready_.Push(meeting->lanes[lane]);
    }
    ContinueAmong(self);
  } else {
    self->waiting = Waiting::kWarp;
    self->wait_mask = mask;
    self->site = site;
    Suspend();
    self->waiting = Waiting::kNo;
  }
  if (kind == WarpKind::kSync) Acquire(&warp.order);
  return self->result;
}

void BlockRunner::Fence() {
  // One order among all fences: enough for "the last block to arrive adds up what the others wrote".
  static char fences = 0;
  Acquire(&fences);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Release(&fences);
}

bool BlockRunner::StackGuardHolds(const void* address) const {
  return current_ != nullptr && current_->GuardHolds(address);
}

void BlockRunner::Deadlock() {
  unsigned at_barrier = 0, in_warp = 0;
  const Fiber* barrier = nullptr;
  const Fiber* warp = nullptr;
  for (const auto& fiber : fibers_) {
    if (fiber->waiting == Waiting::kBarrier && at_barrier++ == 0) barrier = fiber.get();
    if (fiber->waiting == Waiting::kWarp && in_warp++ == 0) warp = fiber.get();
  }
  if (warp != nullptr) threadIdx = warp->index;
  if (barrier != nullptr && warp != nullptr) {
    DieStanding(
        "deadlock: %u threads wait in warp operations (this one at %s:%d with mask 0x%08x) and %u at a divergent "
        "barrier (thread (%u, %u, %u) at %s:%d)",
        in_warp, FileName(warp->site), warp->site.line, warp->wait_mask, at_barrier, barrier->index.x, barrier->index.y,
        barrier->index.z, FileName(barrier->site), barrier->site.line);
  }
  if (warp != nullptr) {
    DieStanding(
        "deadlock: %u threads wait in warp operations for lanes that wait elsewhere (this one at %s:%d with "
        "mask 0x%08x)",
        in_warp, FileName(warp->site), warp->site.line, warp->wait_mask);
  }
  DieStanding("deadlock: %u of %u live threads wait at a barrier", at_barrier, alive_);
}

}  // namespace lockstep::virtual_gpu
