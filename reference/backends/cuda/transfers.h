// Copies between host and device through pinned memory on the copy stream, in pieces: while the device moves one piece,
// the host fills or empties the other.
//
// A copy starts after all compute work enqueued before the call and ends before any enqueued after it. An upload's host
// memory is free on return, though the copy may not have begun; a download is complete on return.
#pragma once

#include <cstddef>

#include "reference/backends/cuda/runtime.h"

namespace lockstep::backends::cuda {

class Transfers {
 public:
  explicit Transfers(const Runtime& runtime);
  ~Transfers();
  Transfers(const Transfers&) = delete;
  Transfers& operator=(const Transfers&) = delete;

  void Upload(void* target, const void* host_source, std::size_t bytes);
  void Download(void* host_target, const void* source, std::size_t bytes);

 private:
  struct Piece {
    char* pinned = nullptr;
    cudaEvent_t moved = nullptr;
  };
  void After(cudaStream_t later, cudaStream_t earlier);

  const Runtime& runtime_;
  Piece pieces_[2];
  std::size_t next_ = 0;
  cudaEvent_t order_ = nullptr;
};

}  // namespace lockstep::backends::cuda
