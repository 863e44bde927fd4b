// Why an operation or a call can't go on: thrown within the library, told by its results.
#pragma once

#include <nccl.h>

#include <string>

namespace lockstep::virtual_gpu::nccl {

struct Failure {
  ncclResult_t result = ncclInternalError;
  std::string text;
};

struct Aborted {};  // this rank aborted the communicator: there is nothing to tell

}  // namespace lockstep::virtual_gpu::nccl
