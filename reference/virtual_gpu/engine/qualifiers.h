// CUDA's qualifiers for the host compiler.
//
// `__shared__` needs one copy of a variable for each block that runs: a block runs on one OS thread, so it is
// thread_local. AddressSanitizer puts red zones around static variables but not around thread_local ones; under it a
// shared array is static, and the engine runs one block of the process at a time. `extern __shared__` does not link:
// dynamic shared memory is lockstep::virtual_gpu::DynamicShared(). `__constant__` and `__managed__` are not covered.
//
// What would compile here and mean something else on a GPU is refused by the compiler: a kernel called as a function
// (the attribute `error`; its address may be taken, which is what a launch does), a variable that is `__device__` (an
// attribute that only functions may have, and that changes nothing), and any mention of `__CUDA_ARCH__`, by which
// a source would show the two builds different text. Held to by suites/virtual_gpu/refused.
#pragma once

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the interface

#if defined(__SANITIZE_ADDRESS__)
#define LOCKSTEP_VIRTUAL_GPU_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOCKSTEP_VIRTUAL_GPU_ASAN 1
#endif
#endif

#define __global__ __attribute__((noinline, error("a kernel is launched, not called")))
#define __device__ __attribute__((no_instrument_function))
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) alignas(bytes)

#ifdef LOCKSTEP_VIRTUAL_GPU_ASAN
#define __shared__ static
#else
#define __shared__ thread_local
#endif

#ifdef __clang__
#pragma clang diagnostic error "-Wignored-attributes"  // gcc makes this an error by itself
#endif
#pragma GCC poison __CUDA_ARCH__

// NOLINTEND(bugprone-reserved-identifier)
