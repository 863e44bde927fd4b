// When the device's streams came to a point, on the host's steady clock.
//
// An event that keeps time is recorded at each mark. When the first time is asked for, one more is recorded and waited
// for: the anchor, whose moment on the host is known to within the wait. Every other time is the anchor's less what
// elapsed in between, which is a step's length at most, so that a float of milliseconds holds it to nanoseconds. Marks
// begin anew with the first one after a time was asked for. Used by the program's thread alone.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

namespace lockstep::backends::cuda {

class StreamClock {
 public:
  explicit StreamClock(cudaStream_t compute) : compute_(compute) {}
  ~StreamClock();
  StreamClock(const StreamClock&) = delete;
  StreamClock& operator=(const StreamClock&) = delete;

  std::int64_t Mark();                     // in the compute stream; its number
  std::int64_t TimeOf(std::int64_t mark);  // nanoseconds; the compute stream has been synchronised since
  std::int64_t TimeOf(cudaEvent_t event);  // of any stream, one that keeps time and has ended

 private:
  void Anchor();

  cudaStream_t compute_;
  std::vector<cudaEvent_t> marks_;  // used again
  std::size_t used_ = 0;
  cudaEvent_t anchor_ = nullptr;
  std::int64_t anchor_time_ = 0;
  bool anchored_ = false;
};

}  // namespace lockstep::backends::cuda
