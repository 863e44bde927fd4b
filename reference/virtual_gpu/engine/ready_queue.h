// Fibers that may go on, first in, first out; never more than the block has threads. No allocation: it is used on
// fibers.
#pragma once

#include <array>
#include <utility>

#include "reference/virtual_gpu/engine/fiber.h"

namespace lockstep::virtual_gpu {

class ReadyQueue {
 public:
  bool empty() const { return head_ == tail_; }
  unsigned size() const { return tail_ - head_; }
  void clear() { head_ = tail_ = 0; }
  void Push(Fiber* fiber) { fibers_[tail_++ % kSize] = fiber; }
  Fiber* Pop() { return fibers_[head_++ % kSize]; }
  // The fiber at `place` of size() goes first, in exchange with the one that was.
  void BringForward(unsigned place) { std::swap(fibers_[head_ % kSize], fibers_[(head_ + place) % kSize]); }

 private:
  static constexpr unsigned kSize = 1024;  // a block has at most as many threads
  std::array<Fiber*, kSize> fibers_{};
  unsigned head_ = 0, tail_ = 0;
};

}  // namespace lockstep::virtual_gpu
