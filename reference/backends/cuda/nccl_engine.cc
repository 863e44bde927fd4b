#include "reference/backends/cuda/nccl_engine.h"

#include "reference/backends/cuda/nccl_channel.h"
#include "reference/device/communicator.h"

namespace lockstep::backends::cuda {

void NcclEngine::Fail(const std::string& error) {
  for (NcclChannel* channel : channels_) channel->Close(NcclChannel::Ending::kAbort);
  for (NcclChannel* channel : channels_) channel->Join();
  throw device::CommunicationError(error);
}

float* NcclEngine::NewWords() {
  const std::lock_guard lock(mutex_);
  return words_.emplace_back().data();
}

}  // namespace lockstep::backends::cuda
