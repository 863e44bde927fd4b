// What a running kernel thread asks of the engine: to meet the threads of its block or warp.
//
// Called by the device side's functions (synchronisation.h) on a fiber of the engine; anywhere else they abort. Each
// call may give the OS thread to other kernel threads and returns when the meeting is complete. A meeting that cannot
// complete, or that a GPU leaves undefined, aborts the process with kernel, block, thread and source line.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/engine/site.h"

namespace lockstep::virtual_gpu {

enum class BarrierKind : std::uint8_t { kPlain, kCount, kAnd, kOr };

// All live threads of the block meet. Returns 0 for kPlain, else the number of threads with a predicate (kCount), or
// whether all or any has one. Threads that wait at barriers of different sites or kinds are a divergent barrier.
int MeetBlock(BarrierKind kind, int predicate, Site site);

enum class WarpKind : std::uint8_t {
  kSync,     // __syncwarp
  kShuffle,  // any __shfl: value of lane `source`
  kBallot,   // bit l: lane l's value is not 0
  kAddUnsigned,
  kMinUnsigned,
  kMaxUnsigned,
  kMinSigned,
  kMaxSigned,
  kAnd,
  kOr,
  kXor,
};

// The lanes of `mask` meet; the result of `kind` over their values. `source`, for kShuffle, is the lane to read.
std::uint64_t MeetWarp(WarpKind kind, unsigned mask, std::uint64_t value, unsigned source, Site site);

bool InKernel();                                      // whether a kernel thread runs on this OS thread
void* DynamicShared();                                // the block's dynamic shared memory, aligned to 16 bytes
void MemoryFence();                                   // __threadfence and its kin
[[noreturn]] void Trap(const char* what, Site site);  // aborts, naming kernel, block and thread

}  // namespace lockstep::virtual_gpu
