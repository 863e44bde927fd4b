// Barriers, warp operations and fences under CUDA's names. What they demand is in execution.h.
//
// __activemask is deleted: which lanes happen to run together is the hardware's affair, and a result that depends on
// it can't be reproduced.
#pragma once

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the interface

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "reference/virtual_gpu/engine/execution.h"
#include "reference/virtual_gpu/engine/thread_index.h"

unsigned __activemask() = delete;

inline void __syncthreads(lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  lockstep::virtual_gpu::MeetBlock(lockstep::virtual_gpu::BarrierKind::kPlain, 0, site);
}
inline int __syncthreads_count(int predicate, lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  return lockstep::virtual_gpu::MeetBlock(lockstep::virtual_gpu::BarrierKind::kCount, predicate, site);
}
inline int __syncthreads_and(int predicate, lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  return lockstep::virtual_gpu::MeetBlock(lockstep::virtual_gpu::BarrierKind::kAnd, predicate, site);
}
inline int __syncthreads_or(int predicate, lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  return lockstep::virtual_gpu::MeetBlock(lockstep::virtual_gpu::BarrierKind::kOr, predicate, site);
}

inline void __threadfence_block() { lockstep::virtual_gpu::MemoryFence(); }
inline void __threadfence() { lockstep::virtual_gpu::MemoryFence(); }
inline void __threadfence_system() { lockstep::virtual_gpu::MemoryFence(); }

inline void __syncwarp(unsigned mask = 0xffffffffu, lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  lockstep::virtual_gpu::MeetWarp(lockstep::virtual_gpu::WarpKind::kSync, mask, 0, 0, site);
}

namespace lockstep::virtual_gpu {

inline unsigned Lane() {
  return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % static_cast<unsigned>(warpSize);
}

template <typename T>
T Shuffle(unsigned mask, T value, unsigned source, Site site) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
  std::uint64_t raw = 0;
  std::memcpy(&raw, &value, sizeof value);
  raw = MeetWarp(WarpKind::kShuffle, mask, raw, source, site);
  std::memcpy(&value, &raw, sizeof value);
  return value;
}

// First lane of the calling lane's segment of `width` lanes.
inline unsigned Segment(int width, Site site) {
  if (width <= 0 || width > 32 || (width & (width - 1)) != 0)
    Trap("a shuffle's width must be 1, 2, 4, 8, 16 or 32", site);
  return Lane() & ~static_cast<unsigned>(width - 1);
}

}  // namespace lockstep::virtual_gpu

// A source outside the segment reads the lane's own value, as PTX's shfl says.
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32,
              lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  const unsigned first = lockstep::virtual_gpu::Segment(width, site);
  return lockstep::virtual_gpu::Shuffle(mask, value, first + (static_cast<unsigned>(source) & (width - 1u)), site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  const unsigned first = lockstep::virtual_gpu::Segment(width, site), lane = lockstep::virtual_gpu::Lane();
  return lockstep::virtual_gpu::Shuffle(mask, value, delta <= lane - first ? lane - delta : lane, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  const unsigned last = lockstep::virtual_gpu::Segment(width, site) + width - 1u, lane = lockstep::virtual_gpu::Lane();
  return lockstep::virtual_gpu::Shuffle(mask, value, delta <= last - lane ? lane + delta : lane, site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  const unsigned last = lockstep::virtual_gpu::Segment(width, site) + width - 1u, lane = lockstep::virtual_gpu::Lane();
  const unsigned source = lane ^ static_cast<unsigned>(lane_mask);
  return lockstep::virtual_gpu::Shuffle(mask, value, source <= last ? source : lane, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  return static_cast<unsigned>(
      lockstep::virtual_gpu::MeetWarp(lockstep::virtual_gpu::WarpKind::kBallot, mask, predicate != 0, 0, site));
}
inline int __any_sync(unsigned mask, int predicate, lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  return __ballot_sync(mask, predicate, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  return __ballot_sync(mask, predicate == 0, site) == 0;
}

#define LOCKSTEP_WARP_REDUCTION(name, type, kind)                                                                 \
  inline type name(unsigned mask, type value, lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) { \
    return static_cast<type>(lockstep::virtual_gpu::MeetWarp(lockstep::virtual_gpu::WarpKind::kind, mask,         \
                                                             static_cast<unsigned>(value), 0, site));             \
  }                                                                                                               \
  static_assert(sizeof(type) == 4)
LOCKSTEP_WARP_REDUCTION(__reduce_add_sync, unsigned, kAddUnsigned);
LOCKSTEP_WARP_REDUCTION(__reduce_add_sync, int, kAddUnsigned);
LOCKSTEP_WARP_REDUCTION(__reduce_min_sync, unsigned, kMinUnsigned);
LOCKSTEP_WARP_REDUCTION(__reduce_min_sync, int, kMinSigned);
LOCKSTEP_WARP_REDUCTION(__reduce_max_sync, unsigned, kMaxUnsigned);
LOCKSTEP_WARP_REDUCTION(__reduce_max_sync, int, kMaxSigned);
LOCKSTEP_WARP_REDUCTION(__reduce_and_sync, unsigned, kAnd);
LOCKSTEP_WARP_REDUCTION(__reduce_or_sync, unsigned, kOr);
LOCKSTEP_WARP_REDUCTION(__reduce_xor_sync, unsigned, kXor);
#undef LOCKSTEP_WARP_REDUCTION

inline void __trap(lockstep::virtual_gpu::Site site = lockstep::virtual_gpu::Here()) {
  lockstep::virtual_gpu::Trap("__trap()", site);
}

// NOLINTEND(bugprone-reserved-identifier)
