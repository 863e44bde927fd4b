// For an allocator that hands out parts of what cudaMalloc gave: which parts are in use.
//
// Marks take effect in the stream's order. Memory marked unused is 0xFF bytes again, and AddressSanitizer reports
// whoever touches it; so parts with an unused gap between them are guarded as allocations of cudaMalloc are. Ranges are
// of one device allocation; AddressSanitizer sees starts as multiples of 8 bytes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace lockstep::virtual_gpu {

void MarkUnused(cudaStream_t stream, void* data, std::size_t bytes);
void MarkUsed(cudaStream_t stream, void* data, std::size_t bytes);

}  // namespace lockstep::virtual_gpu
