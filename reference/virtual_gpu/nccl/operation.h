// One operation of one rank while it runs: a state machine, so that those of a group go on side by side and whoever
// waits can sleep for all of them at once.
#pragma once

#include <cuda_runtime_api.h>

#include "reference/virtual_gpu/nccl/description.h"

namespace lockstep::virtual_gpu::nccl {

// What a call asks for.
struct Call {
  Description description;
  const void* send = nullptr;
  void* receive = nullptr;
  cudaStream_t stream = nullptr;
};

class Operation {
 public:
  virtual ~Operation() = default;
  // Does what can be done now. False: nothing could. Throws Failure where the peers ask for something else.
  virtual bool Progress() = 0;
  virtual bool Done() const = 0;
  virtual bool Met() const = 0;            // whether the peers were seen to be in it as well
  virtual bool Needs(int rank) const = 0;  // whether it can't end without that rank
  virtual const Description& description() const = 0;
};

}  // namespace lockstep::virtual_gpu::nccl
