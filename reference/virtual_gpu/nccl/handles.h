// Which ncclComm_t are alive. A handle that is not is refused, never followed.
#pragma once

#include <nccl.h>

#include <memory>

#include "reference/virtual_gpu/nccl/communicator.h"

struct ncclComm {
  std::shared_ptr<lockstep::virtual_gpu::nccl::Communicator> communicator;
};

namespace lockstep::virtual_gpu::nccl {

// The handle lives until Remove. A process that exits with handles alive aborts them first: threads of streams that
// wait in an operation would keep it from ending.
ncclComm_t Add(std::shared_ptr<Communicator> communicator);
std::shared_ptr<Communicator> Find(const ncclComm* handle);  // nullptr: no such handle
void Remove(ncclComm_t handle);

// Prints "virtual NCCL: CALL: WHY", keeps it for ncclGetLastError of this thread, and spoils the thread's group.
ncclResult_t Refuse(ncclResult_t result, const char* call, const std::string& why);
const std::string& LastRefusal();

}  // namespace lockstep::virtual_gpu::nccl
