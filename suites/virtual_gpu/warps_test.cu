// Warp operations against plain loops over the lanes.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <bit>
#include <functional>

#include "suites/virtual_gpu/device_array.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using lockstep::virtual_gpu::Launch;
constexpr unsigned kFull = 0xffffffffu;

enum Kind { kIndex, kUp, kDown, kXor };

template <typename T>
__global__ void Shuffle(T* out, const T* in, Kind kind, int amount, int width) {
  const T mine = in[threadIdx.x];
  T other = mine;
  if (kind == kIndex) other = __shfl_sync(kFull, mine, amount, width);
  if (kind == kUp) other = __shfl_up_sync(kFull, mine, static_cast<unsigned>(amount), width);
  if (kind == kDown) other = __shfl_down_sync(kFull, mine, static_cast<unsigned>(amount), width);
  if (kind == kXor) other = __shfl_xor_sync(kFull, mine, amount, width);
  out[threadIdx.x] = other;
}

// The lane that `lane` reads, as PTX's shfl defines it.
int Source(int lane, Kind kind, int amount, int width) {
  const int first = lane / width * width, last = first + width - 1;
  int source = lane;
  if (kind == kIndex) return first + amount % width;
  if (kind == kUp) source = lane - amount;
  if (kind == kDown) source = lane + amount;
  if (kind == kXor) source = lane ^ amount;
  const bool outside = kind == kUp ? source < first : source > last;
  return outside ? lane : source;
}

template <typename T>
void CheckShuffles(const std::function<T(int)>& value) {
  std::vector<T> in(64);
  for (int i = 0; i < 64; ++i) in[static_cast<std::size_t>(i)] = value(i);
  DeviceArray<T> x(in), y(64);
  for (const Kind kind : {kIndex, kUp, kDown, kXor}) {
    for (const int width : {1, 2, 4, 8, 16, 32}) {
      for (const int amount : {0, 1, 3, 16, 31}) {
        CUDA_OK(Launch(nullptr, 1, 64, 0, "Shuffle", Shuffle<T>, y.data(), x.data(), kind, amount, width));
        const std::vector<T> out = y.Values();
        for (int lane = 0; lane < 64; ++lane) {
          const int expected = lane / 32 * 32 + Source(lane % 32, kind, amount, width);
          ASSERT_EQ(out[static_cast<std::size_t>(lane)], value(expected)) << kind << " " << width << " " << amount;
        }
      }
    }
  }
}

TEST(Warp, ShufflesFloatsAsPlainLoopsDo) {
  CheckShuffles<float>([](int i) { return static_cast<float>(i) * 1.5f; });
}
TEST(Warp, ShufflesWideTypesAsPlainLoopsDo) {
  CheckShuffles<double>([](int i) { return i * 1e100; });
  CheckShuffles<long long>([](int i) { return static_cast<long long>(i) << 40; });
}
TEST(Warp, ShufflesNarrowTypesAsPlainLoopsDo) {
  CheckShuffles<int>([](int i) { return -i; });
  CheckShuffles<__nv_bfloat16>([](int i) { return __float2bfloat16(static_cast<float>(i)); });
}

__global__ void SumOfHalves(float* x) {
  const unsigned mask = threadIdx.x % 32 < 16 ? 0x0000ffffu : 0xffff0000u;
  float sum = x[threadIdx.x];
  for (int distance = 8; distance > 0; distance /= 2) sum += __shfl_xor_sync(mask, sum, distance);
  if (threadIdx.x % 32 >= 16) sum = -sum;
  x[threadIdx.x] = sum + __shfl_sync(0xffffffffu, sum, 31);
}

TEST(Warp, MeetsInParts) {
  DeviceArray<float> x(std::vector<float>(64, 1.0f));
  CUDA_OK(Launch(nullptr, 1, 64, 0, "SumOfHalves", SumOfHalves, x.data()));
  const std::vector<float> out = x.Values();
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(out[i], i % 32 < 16 ? 0.0f : -32.0f);
}

// Overlapping masks one after another: what the first meeting gave must not be overwritten by the second.
__global__ void OverlappingMasks(int* x) {
  const int lane = static_cast<int>(threadIdx.x);
  int sum = 0;
  for (int round = 0; round < 4; ++round) {
    if (lane < 20) sum += __shfl_sync(0x000fffffu, lane + round, (lane + 1) % 20);
    if (lane >= 10) sum += 100 * __shfl_sync(0xfffffc00u, lane + round, lane == 31 ? 10 : lane + 1);
  }
  x[lane] = sum;
}

TEST(Warp, MeetsInMasksThatOverlap) {
  DeviceArray<int> x(32);
  CUDA_OK(Launch(nullptr, 1, 32, 0, "OverlappingMasks", OverlappingMasks, x.data()));
  const std::vector<int> out = x.Values();
  for (int lane = 0; lane < 32; ++lane) {
    int expected = 0;
    for (int round = 0; round < 4; ++round) {
      if (lane < 20) expected += (lane + 1) % 20 + round;
      if (lane >= 10) expected += 100 * ((lane == 31 ? 10 : lane + 1) + round);
    }
    EXPECT_EQ(out[static_cast<std::size_t>(lane)], expected) << lane;
  }
}

__global__ void Vote(unsigned* out, unsigned pattern) {
  const int mine = static_cast<int>(pattern >> threadIdx.x % 32 & 1u);
  out[threadIdx.x * 3] = __ballot_sync(kFull, mine);
  out[threadIdx.x * 3 + 1] = static_cast<unsigned>(__any_sync(kFull, mine));
  out[threadIdx.x * 3 + 2] = static_cast<unsigned>(__all_sync(kFull, mine));
}

TEST(Warp, VotesAmongTheLanesThatExist) {
  for (const unsigned threads : {1u, 20u, 32u, 50u}) {
    for (const unsigned pattern : {0u, 1u, 0x12345678u, kFull}) {
      DeviceArray<unsigned> out(threads * 3);
      CUDA_OK(Launch(nullptr, 1, threads, 0, "Vote", Vote, out.data(), pattern));
      const std::vector<unsigned> got = out.Values();
      for (unsigned t = 0; t < threads; ++t) {
        const unsigned lanes = threads - t / 32 * 32, exist = lanes >= 32 ? kFull : (1u << lanes) - 1;
        EXPECT_EQ(got[t * 3], pattern & exist);
        EXPECT_EQ(got[t * 3 + 1], (pattern & exist) != 0 ? 1u : 0u);
        EXPECT_EQ(got[t * 3 + 2], (pattern & exist) == exist ? 1u : 0u);
      }
    }
  }
}

__global__ void Reduce(int* out) {
  const int mine = static_cast<int>(threadIdx.x) * 3 - 40;
  const auto bits = static_cast<unsigned>(mine);
  int* const mine_out = out + threadIdx.x * 9;
  mine_out[0] = __reduce_add_sync(kFull, mine);
  mine_out[1] = __reduce_min_sync(kFull, mine);
  mine_out[2] = __reduce_max_sync(kFull, mine);
  mine_out[3] = static_cast<int>(__reduce_add_sync(kFull, bits));
  mine_out[4] = static_cast<int>(__reduce_min_sync(kFull, bits));
  mine_out[5] = static_cast<int>(__reduce_max_sync(kFull, bits));
  mine_out[6] = static_cast<int>(__reduce_and_sync(kFull, bits));
  mine_out[7] = static_cast<int>(__reduce_or_sync(kFull, bits));
  mine_out[8] = static_cast<int>(__reduce_xor_sync(kFull, bits));
}

TEST(Warp, ReducesAsPlainLoopsDo) {
  DeviceArray<int> out(32 * 9);
  CUDA_OK(Launch(nullptr, 1, 32, 0, "Reduce", Reduce, out.data()));
  unsigned all = kFull, any = 0, exclusive = 0;
  int sum = 0;
  for (int lane = 0; lane < 32; ++lane) {
    const int value = lane * 3 - 40;
    sum += value;
    all &= static_cast<unsigned>(value);
    any |= static_cast<unsigned>(value);
    exclusive ^= static_cast<unsigned>(value);
  }
  const std::vector<int> expected{sum,
                                  -40,
                                  53,
                                  sum,
                                  2,   // the smallest that is not negative
                                  -1,  // 0xffffffff
                                  static_cast<int>(all),
                                  static_cast<int>(any),
                                  static_cast<int>(exclusive)};
  const std::vector<int> got = out.Values();
  for (std::size_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(
        std::vector<int>(got.begin() + static_cast<long>(lane) * 9, got.begin() + static_cast<long>(lane) * 9 + 9),
        expected);
  }
}

__global__ void ExchangeThroughShared(int* x) {
  __shared__ int s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncwarp();
  x[threadIdx.x] = s[threadIdx.x ^ 1];
}

TEST(Warp, OrdersSharedMemoryBySyncwarp) {
  std::vector<int> values(64);
  for (int i = 0; i < 64; ++i) values[static_cast<std::size_t>(i)] = i;
  DeviceArray<int> x(values);
  CUDA_OK(Launch(nullptr, 1, 64, 0, "ExchangeThroughShared", ExchangeThroughShared, x.data()));
  const std::vector<int> got = x.Values();
  for (int i = 0; i < 64; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i ^ 1);
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
