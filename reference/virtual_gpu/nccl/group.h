// ncclGroupStart to ncclGroupEnd: what a thread collects meanwhile, and how it starts.
//
// Operations of one communicator become one unit of work in their stream's order (of several streams: after what all of
// them hold, and all wait for it). A communicator's groups follow each other in the order of the calls, whatever their
// streams. Setups of a group run side by side.
#pragma once

#include <functional>
#include <memory>

#include "reference/virtual_gpu/nccl/communicator.h"

namespace lockstep::virtual_gpu::nccl {

void StartGroup();
ncclResult_t EndGroup();
void SpoilGroup(ncclResult_t result);  // a call within it was refused: nothing of it starts

// At once, or at the end of the thread's group. `call_name` lives for ever.
ncclResult_t Submit(const std::shared_ptr<Communicator>& communicator, const char* call_name, const Call& call);
// `work` sets the communicator up; may throw Failure or Aborted. Where it fails and somebody waits for it, `failed` is
// called.
ncclResult_t SubmitSetup(const std::shared_ptr<Communicator>& communicator, std::function<void()> work,
                         std::function<void()> failed);

}  // namespace lockstep::virtual_gpu::nccl
