// What kernels may use does what CUDA says, in every order of threads and blocks.
#include <cuda_runtime.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "suites/virtual_gpu/device_array.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using lockstep::virtual_gpu::DynamicShared;
using lockstep::virtual_gpu::Launch;
constexpr unsigned kFull = 0xffffffffu;

// --- Indices and order

__global__ void CountEachThread(int* visits) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  visits[block * blockDim.x * blockDim.y * blockDim.z + thread] += 1;
}

TEST(Kernel, RunsEveryThreadOfEveryBlockOnce) {
  const dim3 grid(3, 2, 5), block(4, 3, 2);
  DeviceArray<int> visits(std::vector<int>(30 * 24, 0));
  CUDA_OK(Launch(nullptr, grid, block, 0, "CountEachThread", CountEachThread, visits.data()));
  EXPECT_EQ(visits.Values(), std::vector<int>(30 * 24, 1));
}

__global__ void TakeTurn(int* turns, int* next) { turns[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(next, 1); }

TEST(Kernel, RunsThreadsAndBlocksInTheOrderAskedFor) {
  DeviceArray<int> turns(256), next(std::vector<int>(1, 0));
  CUDA_OK(Launch(nullptr, 4, 64, 0, "TakeTurn", TakeTurn, turns.data(), next.data()));
  const std::vector<int> got = turns.Values();
  std::vector<int> expected(256);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_THAT(got, testing::UnorderedElementsAreArray(expected));
  const std::string order = Variable("LOCKSTEP_VIRTUAL_ORDER", "forward");
  const bool alone = Variable("LOCKSTEP_VIRTUAL_WORKERS", "1") == "1";
  if (order == "reverse") std::reverse(expected.begin(), expected.end());
  if (alone) {
    EXPECT_EQ(got == expected, order != "random");
  }
}

struct Pair {
  float a;
  double b;
};
__global__ void StoreArguments(double* out, char c, Pair pair) { out[0] = c + pair.a + pair.b; }

TEST(Kernel, HasACopyOfItsArgumentsAsTheyWereAtTheLaunch) {
  DeviceArray<double> out(1);
  char c = 1;
  Pair pair{2, 3};
  CUDA_OK(Launch(nullptr, 1, 1, 0, "StoreArguments", StoreArguments, out.data(), c, pair));
  c = 100;
  pair = {100, 100};
  EXPECT_EQ(out.Values()[0], 6);
}

// --- Barriers

__global__ void ReverseInBlock(float* x, int n) {
  __shared__ float s[1024];
  const int i = static_cast<int>(threadIdx.x);
  if (i >= n) return;  // a thread that has ended no longer counts
  s[i] = x[i];
  __syncthreads();
  for (int round = 0; round < 3; ++round) {
    const float other = s[n - 1 - i];
    __syncthreads();
    s[i] = other;
    __syncthreads();
  }
  x[i] = s[i];
}

TEST(Kernel, MeetsAtBarriersInBlocksOfEverySize) {
  for (const unsigned n : {1u, 2u, 31u, 32u, 33u, 100u, kLargeBlock - 1, kLargeBlock}) {
    std::vector<float> values(n), expected(n);
    for (unsigned i = 0; i < n; ++i) values[i] = expected[n - 1 - i] = static_cast<float>(i);
    DeviceArray<float> x(values);
    CUDA_OK(Launch(nullptr, 1, std::min(kLargeBlock, n + 5), 0, "ReverseInBlock", ReverseInBlock, x.data(),
                   static_cast<int>(n)));
    EXPECT_EQ(x.Values(), expected) << n;
  }
}

__global__ void CountInBlock(int* out, int below) {
  const bool mine = static_cast<int>(threadIdx.x) < below;
  const int count = __syncthreads_count(mine), all = __syncthreads_and(mine), any = __syncthreads_or(mine);
  out[threadIdx.x] = count * 4 + all * 2 + any;
}

TEST(Kernel, CountsPredicatesAtABarrier) {
  for (const int below : {0, 1, 40, 63, 64}) {
    DeviceArray<int> out(64);
    CUDA_OK(Launch(nullptr, 1, 64, 0, "CountInBlock", CountInBlock, out.data(), below));
    EXPECT_EQ(out.Values(), std::vector<int>(64, below * 4 + (below == 64 ? 2 : 0) + (below > 0 ? 1 : 0)));
  }
}

// --- Shared memory

__global__ void SumThroughDynamicShared(float* sums, const float* x, int* wrong) {
  auto* const s = static_cast<float*>(DynamicShared());
  if (reinterpret_cast<std::size_t>(s) % 16 != 0 || __float_as_uint(s[threadIdx.x]) != 0xffffffffu) atomicAdd(wrong, 1);
  s[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) s[threadIdx.x] += s[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = s[0];
}

TEST(Kernel, HasAlignedAndFreshDynamicSharedMemoryInEveryBlock) {
  DeviceArray<float> x(std::vector<float>(8 * 64, 1.0f)), sums(8);
  DeviceArray<int> wrong(std::vector<int>(1, 0));
  CUDA_OK(Launch(nullptr, 8, 64, 64 * sizeof(float), "SumThroughDynamicShared", SumThroughDynamicShared, sums.data(),
                 x.data(), wrong.data()));
  EXPECT_EQ(sums.Values(), std::vector<float>(8, 64.0f));
  EXPECT_EQ(wrong.Values()[0], 0);
}

__global__ void TouchAllShared(int bytes) { static_cast<char*>(DynamicShared())[bytes - 1] = 1; }

TEST(Kernel, GetsMoreThan48KiBOfSharedMemoryOnlyAfterAsking) {
  constexpr int kBytes = 100 << 10;
  EXPECT_EQ(Launch(nullptr, 1, 1, kBytes, "TouchAllShared", TouchAllShared, kBytes), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(TouchAllShared, cudaFuncAttributeMaxDynamicSharedMemorySize, 1 << 20),
            cudaErrorInvalidValue);
  CUDA_OK(cudaFuncSetAttribute(TouchAllShared, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  CUDA_OK(Launch(nullptr, 1, 1, kBytes, "TouchAllShared", TouchAllShared, kBytes));
  CUDA_OK(cudaDeviceSynchronize());
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

// --- Atomics and fences

__global__ void UseAtomics(int* i, unsigned* u, unsigned long long* l, float* f, double* d, int n) {
  const int t = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (t >= n) return;
  atomicAdd(i, t);
  atomicMax(i + 1, t);
  atomicMin(i + 2, -t);
  atomicSub(i + 3, 2);
  for (int old = 0, seen; (seen = atomicCAS(i + 4, old, old + 3)) != old;) old = seen;
  atomicOr(u, 1u << t % 32);
  atomicAnd(u + 1, ~(1u << t % 32));
  atomicXor(u + 2, static_cast<unsigned>(t));
  atomicInc(u + 3, 6);
  atomicAdd(l, 1ull << 33);
  atomicAdd(f, 0.5f);
  atomicAdd(d, 0.25);
}

TEST(Kernel, AddsUpAtomically) {
  constexpr int kThreads = 100;
  DeviceArray<int> i(std::vector<int>{0, -1, 1, 1000, 0});
  DeviceArray<unsigned> u(std::vector<unsigned>{0, kFull, 0, 0});
  DeviceArray<unsigned long long> l(std::vector<unsigned long long>{5});
  DeviceArray<float> f(std::vector<float>{0});
  DeviceArray<double> d(std::vector<double>{0});
  CUDA_OK(
      Launch(nullptr, 4, 32, 0, "UseAtomics", UseAtomics, i.data(), u.data(), l.data(), f.data(), d.data(), kThreads));
  EXPECT_EQ(i.Values(), (std::vector<int>{99 * 100 / 2, 99, -99, 800, 300}));
  unsigned exclusive = 0;
  for (unsigned t = 0; t < kThreads; ++t) exclusive ^= t;
  EXPECT_EQ(u.Values(), (std::vector<unsigned>{kFull, 0, exclusive, kThreads % 7}));
  EXPECT_EQ(l.Values()[0], 5 + (100ull << 33));
  EXPECT_EQ(f.Values()[0], 50.0f);
  EXPECT_EQ(d.Values()[0], 25.0);
}

// The last block to arrive adds up what the others wrote: right only with both fences.
__global__ void LastBlockSums(float* parts, float* sum, unsigned* arrived) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = static_cast<float>(blockIdx.x + 1);
    __threadfence();
    last = atomicAdd(arrived, 1u) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float total = 0;
    for (unsigned block = 0; block < gridDim.x; ++block) total += parts[block];
    *sum = total;
  }
}

TEST(Kernel, LetsTheLastBlockReadWhatOthersWroteBeforeTheirFence) {
  DeviceArray<float> parts(20), sum(1);
  DeviceArray<unsigned> arrived(std::vector<unsigned>(1, 0));
  CUDA_OK(Launch(nullptr, 20, 32, 0, "LastBlockSums", LastBlockSums, parts.data(), sum.data(), arrived.data()));
  EXPECT_EQ(sum.Values()[0], 210.0f);
}

// --- Launches

__global__ void Nothing() {}

TEST(Launch, RefusesAShapeThatNoDeviceTakes) {
  for (const auto& [grid, block] : std::vector<std::pair<dim3, dim3>>{{0, 32},
                                                                      {1, 0},
                                                                      {1, 1025},
                                                                      {1, dim3(64, 32)},
                                                                      {1, dim3(1, 1, 65)},
                                                                      {dim3(1, 65536), 1},
                                                                      {dim3(1, 1, 65536), 1}}) {
    EXPECT_EQ(Launch(nullptr, grid, block, 0, "Nothing", Nothing), cudaErrorInvalidConfiguration);
  }
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  CUDA_OK(cudaGetLastError());
  CUDA_OK(Launch(nullptr, dim3(1, 65535), 1, 0, "Nothing", Nothing));
  CUDA_OK(cudaDeviceSynchronize());
}

TEST(Launch, TakesCudaLaunchKernelExWithoutAttributes) {
  DeviceArray<int> visits(std::vector<int>(64, 0));
  cudaLaunchConfig_t config{};
  config.gridDim = 2;
  config.blockDim = 32;
  CUDA_OK(cudaLaunchKernelEx(&config, CountEachThread, visits.data()));
  EXPECT_EQ(visits.Values(), std::vector<int>(64, 1));
  config.numAttrs = 1;
  EXPECT_EQ(cudaLaunchKernelEx(&config, CountEachThread, visits.data()), cudaErrorNotSupported);
}

TEST(Launch, TellsHowManyBlocksFitAMultiprocessor) {
  int blocks = 0;
  CUDA_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Nothing, 256, 0));
  EXPECT_EQ(blocks, 8);
  CUDA_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Nothing, 256, 75 << 10));
  EXPECT_EQ(blocks, 3);
  CUDA_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, Nothing, 32, 0));
  EXPECT_EQ(blocks, 32);
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
