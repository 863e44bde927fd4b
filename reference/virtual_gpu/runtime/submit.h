// How a call's work reaches a stream: as a node where the stream is captured, else in the stream's order and that of
// the default stream.
#pragma once

#include <memory>

#include "reference/virtual_gpu/runtime/event.h"
#include "reference/virtual_gpu/runtime/stream.h"

namespace lockstep::virtual_gpu {

cudaError_t Submit(const std::shared_ptr<Stream>& stream, Work work);

// An event's record after all that `stream` holds.
cudaError_t SubmitRecord(const std::shared_ptr<Stream>& stream, Event& event);

// Work enqueued on `stream` from now on follows `record`.
cudaError_t SubmitWait(const std::shared_ptr<Stream>& stream, const std::shared_ptr<Record>& record);

}  // namespace lockstep::virtual_gpu
