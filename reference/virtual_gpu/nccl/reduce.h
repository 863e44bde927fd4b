// Reductions of every covered type, in the order of the ranks.
#pragma once

#include <cstdint>
#include <span>

namespace lockstep::virtual_gpu::nccl {

// out[i] = reduction over sources, first to last, of source[i]; out may be one of them. Every step rounds to the type.
// max and min drop a NaN where the other operand is a number, as the GPU's do. An average of floats is the sum of
// x * (1 / n), of integers the sum divided, towards zero.
void Reduce(int type, int reduction, std::int64_t n, std::span<const void* const> sources, void* out);

}  // namespace lockstep::virtual_gpu::nccl
