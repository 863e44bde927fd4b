// How a thread of the host waits for something that it can only look at: it gives its core away.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace lockstep::backends::cuda {

// After a few looks it sleeps for a share of the time waited: a wait gets a few per cent longer at most, and one that
// takes long costs next to nothing.
class Patience {
 public:
  using Clock = std::chrono::steady_clock;

  void Rest() {
    if (++looks_ < 8) {
      sched_yield();
      return;
    }
    using std::chrono::microseconds;
    const auto waited = std::chrono::duration_cast<microseconds>(Clock::now() - start_);
    std::this_thread::sleep_for(std::clamp(waited / 16, microseconds(5), microseconds(500)));
  }

 private:
  int looks_ = 0;
  Clock::time_point start_ = Clock::now();
};

}  // namespace lockstep::backends::cuda
