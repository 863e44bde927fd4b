// For libraries on top of the runtime: says which memory their work reads and writes, as a kernel's own accesses would.
//
// To be called in the work itself, on the stream's thread. The range must lie within one live allocation or pinned
// memory; if not, one line names call, operand and range, and cudaErrorIllegalAddress is for the work to return.
// ThreadSanitizer counts the range as read or written here, so that a missing wait shows; AddressSanitizer reports a
// part that may not be touched.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace lockstep::virtual_gpu {

cudaError_t WillRead(const char* call, const char* operand, const void* data, std::size_t bytes);
cudaError_t WillWrite(const char* call, const char* operand, void* data, std::size_t bytes);

}  // namespace lockstep::virtual_gpu
