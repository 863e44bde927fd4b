// Memory: what is allocated, what it holds, how it is copied, and which calls are refused.
#include <cuda_runtime.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "suites/virtual_gpu/device_array.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using testing::Each;

std::size_t FreeBytes() {
  std::size_t free_bytes = 0, total = 0;
  EXPECT_EQ(cudaMemGetInfo(&free_bytes, &total), cudaSuccess);
  return free_bytes;
}

TEST(Memory, IsFreshAs0xFFAndAligned) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{1000}, std::size_t{3} << 20}) {
    DeviceArray<unsigned char> data(bytes);
    EXPECT_EQ(reinterpret_cast<std::size_t>(data.data()) % 256, 0u);
    const std::vector<unsigned char> values = data.Values();
    EXPECT_EQ(std::count(values.begin(), values.end(), 0xFF), static_cast<long>(bytes));
  }
}

TEST(Memory, IsFreshAgainWhenReused) {
  for (int round = 0; round < 80; ++round) {  // more than the quarantine keeps back
    DeviceArray<unsigned char> data(std::size_t{1} << 19);
    EXPECT_EQ(data.Values()[round % 2 == 0 ? 0 : data.bytes() - 1], 0xFF);
    CUDA_OK(cudaMemset(data.data(), 0, data.bytes()));
  }
}

TEST(Memory, IsCountedTruly) {
  const std::size_t before = FreeBytes();
  {
    DeviceArray<char> small(1000), large(5 << 20);
    EXPECT_EQ(FreeBytes(), before - 1024 - (5 << 20));
  }
  EXPECT_EQ(FreeBytes(), before);
}

TEST(Memory, EndsAtTheCapacityWithoutBreakingTheDevice) {
  std::size_t free_bytes = 0, total = 0;
  CUDA_OK(cudaMemGetInfo(&free_bytes, &total));
  void* data = &free_bytes;
  EXPECT_EQ(cudaMalloc(&data, free_bytes + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(data, nullptr);
  EXPECT_EQ(cudaMalloc(&data, SIZE_MAX), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  CUDA_OK(cudaGetLastError());
  EXPECT_EQ(FreeBytes(), free_bytes);
  CUDA_OK(cudaMalloc(&data, 100));
  CUDA_OK(cudaFree(data));
}

TEST(Memory, OfNoBytesIsNull) {
  void* data = &data;
  CUDA_OK(cudaMalloc(&data, 0));
  EXPECT_EQ(data, nullptr);
  CUDA_OK(cudaFree(nullptr));
}

TEST(Memory, IsFreedOnce) {
  char* data = nullptr;
  CUDA_OK(cudaMalloc(&data, 100));
  EXPECT_EQ(cudaFree(data + 1), cudaErrorInvalidValue);
  CUDA_OK(cudaFree(data));
  EXPECT_EQ(cudaFree(data), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(&data), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

TEST(PinnedMemory, IsFreshAs0xFFAndFreedOnce) {
  unsigned char* data = nullptr;
  CUDA_OK(cudaMallocHost(&data, 1000));
  EXPECT_THAT(std::vector<unsigned char>(data, data + 1000), Each(0xFF));
  EXPECT_EQ(cudaFreeHost(data + 1), cudaErrorInvalidValue);
  CUDA_OK(cudaFreeHost(data));
  EXPECT_EQ(cudaFreeHost(data), cudaErrorInvalidValue);
  EXPECT_EQ(cudaHostAlloc(&data, 8, 1u << 20), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

TEST(PinnedMemory, MayBeTheProgramsOwn) {
  std::vector<float> own(100);
  CUDA_OK(cudaHostRegister(own.data(), 400, cudaHostRegisterDefault));
  EXPECT_EQ(cudaHostRegister(own.data() + 50, 400, cudaHostRegisterDefault), cudaErrorHostMemoryAlreadyRegistered);
  cudaPointerAttributes attributes{};
  CUDA_OK(cudaPointerGetAttributes(&attributes, own.data() + 99));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  CUDA_OK(cudaHostUnregister(own.data()));
  EXPECT_EQ(cudaHostUnregister(own.data()), cudaErrorHostMemoryNotRegistered);
  EXPECT_EQ(cudaGetLastError(), cudaErrorHostMemoryNotRegistered);
}

TEST(Pointers, SayWhatTheyPointTo) {
  DeviceArray<float> x(10);
  cudaPointerAttributes attributes{};
  CUDA_OK(cudaPointerGetAttributes(&attributes, x.data() + 9));
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.device, 0);
  float on_stack = 0;
  CUDA_OK(cudaPointerGetAttributes(&attributes, &on_stack));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, x.data() + 10), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

TEST(Copies, GoEveryWay) {
  std::vector<int> values(100), back(100);
  std::iota(values.begin(), values.end(), 0);
  DeviceArray<int> x(values), y(100);
  CUDA_OK(cudaMemcpy(y.data(), x.data(), 400, cudaMemcpyDeviceToDevice));
  CUDA_OK(cudaMemcpy(back.data(), y.data(), 400, cudaMemcpyDefault));
  EXPECT_EQ(back, values);
  back.assign(100, 0);
  CUDA_OK(cudaMemcpy(back.data(), values.data(), 400, cudaMemcpyHostToHost));
  EXPECT_EQ(back, values);
  CUDA_OK(cudaMemcpy(y.data() + 50, values.data(), 200, cudaMemcpyDefault));
  EXPECT_EQ(y.Values()[50], 0);
  EXPECT_EQ(y.Values()[49], 49);
  CUDA_OK(cudaMemcpy(nullptr, nullptr, 0, cudaMemcpyHostToDevice));
}

TEST(Copies, ReadPageableMemoryBeforeTheyReturn) {
  DeviceArray<int> x(1000);
  std::vector<int> values(1000, 7);
  CUDA_OK(cudaMemcpyAsync(x.data(), values.data(), 4000, cudaMemcpyHostToDevice));
  values.assign(1000, 8);
  EXPECT_THAT(x.Values(), Each(7));
}

TEST(Copies, WritePageableMemoryBeforeTheyReturn) {
  DeviceArray<int> x(std::vector<int>(1000, 7));
  std::vector<int> values(1000);
  CUDA_OK(cudaMemcpyAsync(values.data(), x.data(), 4000, cudaMemcpyDeviceToHost));
  EXPECT_THAT(values, Each(7));
}

TEST(Copies, TakeRectangles) {
  std::vector<int> matrix(6 * 10);
  std::iota(matrix.begin(), matrix.end(), 0);
  DeviceArray<int> x(std::vector<int>(4 * 8, -1));
  // 3 rows of 5 elements, from row 1, column 2 of the matrix to row 1, column 3 of x
  CUDA_OK(cudaMemcpy2DAsync(x.data() + 8 + 3, 8 * 4, matrix.data() + 10 + 2, 10 * 4, 5 * 4, 3, cudaMemcpyHostToDevice));
  const std::vector<int> got = x.Values();
  for (int row = 0; row < 4; ++row) {
    for (int column = 0; column < 8; ++column) {
      const bool inside = row >= 1 && column >= 3;
      EXPECT_EQ(got[static_cast<std::size_t>(row * 8 + column)], inside ? row * 10 + 2 + column - 3 : -1);
    }
  }
  std::vector<int> back(15);
  CUDA_OK(cudaMemcpy2D(back.data(), 20, x.data() + 8 + 3, 32, 20, 3, cudaMemcpyDeviceToHost));
  EXPECT_EQ(back[14], 36);
  EXPECT_EQ(cudaMemcpy2D(back.data(), 16, x.data(), 32, 20, 3, cudaMemcpyDeviceToHost), cudaErrorInvalidPitchValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidPitchValue);
}

TEST(Copies, AreRefusedOutOfRangeOrAgainstTheirKind) {
  DeviceArray<int> x(100);
  std::vector<int> host(200);
  EXPECT_EQ(cudaMemcpy(x.data(), host.data(), 404, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(x.data() + 1, host.data(), 400, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(x.data() - 1, host.data(), 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host.data(), x.data(), 400, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(x.data(), host.data(), 400, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(x.data(), host.data(), 400, cudaMemcpyHostToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(x.data(), nullptr, 400, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(x.data(), host.data(), 400, static_cast<cudaMemcpyKind>(7)), cudaErrorInvalidMemcpyDirection);
  EXPECT_EQ(cudaMemset(host.data(), 0, 4), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(x.data(), 0, 401), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  CUDA_OK(cudaDeviceSynchronize());
}

TEST(Fills, SetBytesOfRows) {
  DeviceArray<unsigned char> x(std::vector<unsigned char>(40, 1));
  CUDA_OK(cudaMemset2DAsync(x.data() + 2, 10, 5, 3, 4));
  CUDA_OK(cudaMemsetAsync(x.data() + 39, 9, 1));
  const std::vector<unsigned char> got = x.Values();
  for (std::size_t i = 0; i < 39; ++i) EXPECT_EQ(got[i], i % 10 >= 2 && i % 10 < 5 ? 5 : 1);
  EXPECT_EQ(got[39], 9);
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
