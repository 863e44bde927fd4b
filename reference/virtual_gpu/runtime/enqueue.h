// The seam for libraries on top of the runtime (cuBLAS, NCCL): work of their own, in a stream's order.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace lockstep::virtual_gpu {

// Runs `work` after everything that `stream` holds so far, on the stream's own thread, which may block in it. Anything
// but cudaSuccess becomes the device's sticky error. `name` (a string that lives for ever, the call's) is what
// diagnoses say. A stream that is being captured records `work` instead and runs it at every launch of the graph, so
// it must be fit to run more than once. A stream that is not valid sets cudaErrorInvalidResourceHandle as the last
// error, and the work does not run.
void Enqueue(cudaStream_t stream, const char* name, std::function<cudaError_t()> work);

}  // namespace lockstep::virtual_gpu
