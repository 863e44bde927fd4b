#include "reference/backends/cuda/stream_clock.h"

#include <chrono>
#include <cmath>

#include "reference/backends/cuda/check.h"

namespace lockstep::backends::cuda {
namespace {

std::int64_t HostNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

StreamClock::~StreamClock() {
  for (const cudaEvent_t event : marks_) cudaEventDestroy(event);
  if (anchor_ != nullptr) cudaEventDestroy(anchor_);
}

std::int64_t StreamClock::Mark() {
  if (anchored_) {
    used_ = 0;
    anchored_ = false;
  }
  if (used_ == marks_.size()) {
    marks_.emplace_back();
    CUDA_CHECK(cudaEventCreateWithFlags(&marks_.back(), cudaEventDefault));
  }
  CUDA_CHECK(cudaEventRecord(marks_[used_], compute_));
  return static_cast<std::int64_t>(used_++);
}

void StreamClock::Anchor() {
  if (anchor_ == nullptr) CUDA_CHECK(cudaEventCreateWithFlags(&anchor_, cudaEventDefault));
  // Its moment is known to within half the wait for it: where somebody else had the processor, once more.
  constexpr std::int64_t kShortWait = 100'000;  // ns
  constexpr int kTries = 5;
  std::int64_t wait = kShortWait;
  for (int tries = 0; tries < kTries && wait >= kShortWait; ++tries) {
    const std::int64_t before = HostNow();
    CUDA_CHECK(cudaEventRecord(anchor_, compute_));
    CUDA_CHECK(cudaEventSynchronize(anchor_));
    wait = HostNow() - before;
    anchor_time_ = before + wait / 2;
  }
  anchored_ = true;
}

std::int64_t StreamClock::TimeOf(std::int64_t mark) { return TimeOf(marks_.at(static_cast<std::size_t>(mark))); }

std::int64_t StreamClock::TimeOf(cudaEvent_t event) {
  if (!anchored_) Anchor();
  float milliseconds = 0;
  CUDA_CHECK(cudaEventElapsedTime(&milliseconds, event, anchor_));
  return anchor_time_ - static_cast<std::int64_t>(std::llround(static_cast<double>(milliseconds) * 1e6));
}

}  // namespace lockstep::backends::cuda
