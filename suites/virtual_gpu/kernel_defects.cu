// Kernels with planted defects: threads that meet wrongly, memory used wrongly.
#include <cuda_runtime.h>

#include "suites/virtual_gpu/defects.h"

namespace lockstep::suites::virtual_gpu {
namespace {

constexpr unsigned kFull = 0xffffffffu;
using lockstep::virtual_gpu::DynamicShared;
using lockstep::virtual_gpu::Launch;

#define LOCKSTEP_RUN(kernel, grid, block, shared, ...) \
  Require(Launch(nullptr, grid, block, shared, #kernel, kernel, __VA_ARGS__), "Launch")

// --- Threads that meet

__global__ void DivergentBarrier(float* x) {
  if (threadIdx.x < 100) {
    __syncthreads();  // DEFECT divergent_barrier
  } else {
    __syncthreads();
  }
  x[threadIdx.x] += 1;
}

__global__ void BarrierAgainstShuffle(float* x) {
  if (threadIdx.x < 48) {
    __syncthreads();
  } else {
    x[threadIdx.x] += __shfl_xor_sync(kFull, x[threadIdx.x], 1);  // DEFECT barrier_against_shuffle
  }
}

__global__ void MaskLeavesLaneOut(float* x) {
  x[threadIdx.x] += __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 1);  // DEFECT mask_leaves_lane_out
}

__global__ void MaskNamesEndedLanes(float* x) {
  if (threadIdx.x < 16) return;
  x[threadIdx.x] += __shfl_xor_sync(kFull, x[threadIdx.x], 1);  // DEFECT mask_names_ended_lanes
}

__global__ void LaneEndsWhileOthersWait(float* x) {
  if (threadIdx.x >= 16) return;
  x[threadIdx.x] += __shfl_xor_sync(kFull, x[threadIdx.x], 1);  // DEFECT lane_ends_while_others_wait
}

__global__ void ReadsAbsentLane(float* x) {
  x[threadIdx.x] += __shfl_down_sync(kFull, x[threadIdx.x], 16);  // DEFECT reads_absent_lane
}

__global__ void ReadsLaneOutsideMask(float* x) {
  if (threadIdx.x >= 8) return;
  x[threadIdx.x] += __shfl_sync(0xffu, x[threadIdx.x], 9);  // DEFECT reads_lane_outside_mask
}

__global__ void MixedOperations(float* x) {
  if (threadIdx.x % 2 == 0) {
    x[threadIdx.x] += __shfl_sync(kFull, x[threadIdx.x], 0);
  } else {
    x[threadIdx.x] += static_cast<float>(__ballot_sync(kFull, 1));  // DEFECT mixed_operations
  }
}

__global__ void Traps(float* x) {
  if (threadIdx.x == 7 && x[7] == 7.0f) __trap();
}

// --- Races, for ThreadSanitizer

__global__ void MissingBarrier(float* x) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = s[63 - threadIdx.x];  // DEFECT missing_barrier
}

__global__ void NonAtomicSum(float* sum, const float* x) {
  sum[0] += x[threadIdx.x];  // DEFECT non_atomic_sum
}

__global__ void NonAtomicSumOfBlocks(float* sum, const float* x) {
  if (threadIdx.x == 0) sum[0] += x[blockIdx.x];  // DEFECT non_atomic_sum_of_blocks
}

__global__ void MissingSyncwarp(float* x) {
  __shared__ float s[32];
  s[threadIdx.x] = x[threadIdx.x];
  const float other = __shfl_xor_sync(kFull, x[threadIdx.x], 1);  // orders no memory
  x[threadIdx.x] = other + s[threadIdx.x ^ 1];                    // DEFECT missing_syncwarp
}

// --- Memory

struct Hidden {  // a pointer that the launch cannot see
  float* x;
};

__global__ void GlobalOutOfBounds(float* x, int n) {
  const int i = static_cast<int>(threadIdx.x);
  if (i <= n) x[i] = 1;  // DEFECT global_out_of_bounds
}

__global__ void GlobalFarOutOfBounds(Hidden hidden, int offset) {
  if (threadIdx.x == 5) hidden.x[offset] = 1;  // DEFECT global_far_out_of_bounds
}

__global__ void SharedOutOfBounds(float* x, int n) {
  __shared__ float s[8];
  s[threadIdx.x % 8] = 0;
  if (static_cast<int>(threadIdx.x) == n) s[threadIdx.x] = x[0];  // DEFECT shared_out_of_bounds
  x[threadIdx.x] = s[0];
}

__device__ void Store(float* place, float value) {
  *place = value;  // DEFECT shared_out_of_bounds_by_pointer
}

__global__ void SharedOutOfBoundsByPointer(float* x, int n) {
  __shared__ float s[8];
  Store(s + n, x[threadIdx.x]);
  x[threadIdx.x] = s[0];
}

__global__ void DynamicSharedOutOfBounds(float* x, int n) {
  auto* const s = static_cast<float*>(DynamicShared());
  if (static_cast<int>(threadIdx.x) <= n) s[threadIdx.x] = x[0];  // DEFECT dynamic_shared_out_of_bounds
}

__global__ void UsesHidden(Hidden hidden) {
  hidden.x[threadIdx.x] += 1;  // DEFECT use_after_free_in_kernel
}

__global__ void Uses(float* x) { x[threadIdx.x] += 1; }

__device__ __attribute__((noinline)) float Deep(int level, float value) {
  volatile float local[256];
  local[level % 256] = value;
  return level == 0 ? value : Deep(level - 1, local[level % 256] + 1) + local[level % 256];
}

__global__ void StackOverflow(float* x, int levels) {
  if (threadIdx.x == 3) x[3] = Deep(levels, x[3]);
}

// --- Programs

void RunSharedOutOfBounds() { LOCKSTEP_RUN(SharedOutOfBounds, 1, 16, 0, Ascending(64), 9); }

void UseAfterFree() {
  float* const x = Ascending(64);
  Require(cudaFree(x), "cudaFree");
  LOCKSTEP_RUN(Uses, 1, 64, 0, x);
}

void UseAfterFreeInKernel() {
  float* const x = Ascending(64);
  Require(cudaFree(x), "cudaFree");
  LOCKSTEP_RUN(UsesHidden, 1, 64, 0, Hidden{x});
}

void UseAfterFreeOfLarge() {
  float* const x = Ascending(1 << 20);
  Require(cudaFree(x), "cudaFree");
  LOCKSTEP_RUN(UsesHidden, 1, 64, 0, Hidden{x});
}

void HostTouchesDevice() {
  float* const x = Ascending(64);
  x[3] = 1;  // DEFECT host_touches_device
}

void HostPointerToKernel() {
  static float on_host[64];
  LOCKSTEP_RUN(Uses, 1, 64, 0, on_host);
}

// --- Host code

__global__ void CallsTheRuntime(float* x) {
  void* more = nullptr;
  if (threadIdx.x == 5 && cudaMalloc(&more, 64) == cudaSuccess) x[0] = 1;
}

}  // namespace

std::vector<Defect> KernelDefects() {
  return {
      {"divergent_barrier", [] { LOCKSTEP_RUN(DivergentBarrier, dim3(1, 2), 128, 0, Ascending(128)); }},
      {"barrier_against_shuffle", [] { LOCKSTEP_RUN(BarrierAgainstShuffle, 1, 64, 0, Ascending(64)); }},
      {"mask_leaves_lane_out", [] { LOCKSTEP_RUN(MaskLeavesLaneOut, 1, 32, 0, Ascending(32)); }},
      {"mask_names_ended_lanes", [] { LOCKSTEP_RUN(MaskNamesEndedLanes, 1, 32, 0, Ascending(32)); }},
      {"lane_ends_while_others_wait", [] { LOCKSTEP_RUN(LaneEndsWhileOthersWait, 1, 32, 0, Ascending(32)); }},
      {"reads_absent_lane", [] { LOCKSTEP_RUN(ReadsAbsentLane, 1, 24, 0, Ascending(24)); }},
      {"reads_lane_outside_mask", [] { LOCKSTEP_RUN(ReadsLaneOutsideMask, 1, 32, 0, Ascending(32)); }},
      {"mixed_operations", [] { LOCKSTEP_RUN(MixedOperations, 1, 32, 0, Ascending(32)); }},
      {"trap", [] { LOCKSTEP_RUN(Traps, 1, 32, 0, Ascending(32)); }},
      {"missing_barrier", [] { LOCKSTEP_RUN(MissingBarrier, 1, 64, 0, Ascending(64)); }},
      {"non_atomic_sum", [] { LOCKSTEP_RUN(NonAtomicSum, 1, 64, 0, Ascending(1), Ascending(64)); }},
      {"non_atomic_sum_of_blocks", [] { LOCKSTEP_RUN(NonAtomicSumOfBlocks, 4, 32, 0, Ascending(1), Ascending(64)); }},
      {"missing_syncwarp", [] { LOCKSTEP_RUN(MissingSyncwarp, 1, 32, 0, Ascending(32)); }},
      {"global_out_of_bounds", [] { LOCKSTEP_RUN(GlobalOutOfBounds, 1, 128, 0, Ascending(100), 100); }},
      {"global_far_out_of_bounds",
       [] { LOCKSTEP_RUN(GlobalFarOutOfBounds, 1, 32, 0, Hidden{Ascending(1 << 20)}, (1 << 20) + 1024); }},
      {"shared_out_of_bounds", RunSharedOutOfBounds},
      {"shared_out_of_bounds_by_pointer", [] { LOCKSTEP_RUN(SharedOutOfBoundsByPointer, 1, 1, 0, Ascending(8), 8); }},
      {"dynamic_shared_out_of_bounds",
       [] { LOCKSTEP_RUN(DynamicSharedOutOfBounds, 1, 64, 32 * sizeof(float), Ascending(8), 32); }},
      {"use_after_free", UseAfterFree},
      {"use_after_free_in_kernel", UseAfterFreeInKernel},
      {"use_after_free_of_large", UseAfterFreeOfLarge},
      {"stack_overflow", [] { LOCKSTEP_RUN(StackOverflow, 1, 32, 0, Ascending(32), 10000); }},
      {"host_touches_device", HostTouchesDevice},
      {"host_pointer_to_kernel", HostPointerToKernel},
      {"runtime_call_in_kernel", [] { LOCKSTEP_RUN(CallsTheRuntime, 1, 32, 0, Ascending(32)); }},
  };
}

}  // namespace lockstep::suites::virtual_gpu
