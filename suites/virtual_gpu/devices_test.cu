// Devices: how many, what they say of themselves, and how they reach each other.
#include <cuda_runtime.h>
#include <gmock/gmock.h>

#include "suites/virtual_gpu/device_array.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using lockstep::virtual_gpu::Launch;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Devices, SayThatTheyAreVirtual) {
  cudaDeviceProp properties{};
  CUDA_OK(cudaGetDeviceProperties(&properties, 1));
  EXPECT_THAT(properties.name, StartsWith("virtual GPU ("));
  EXPECT_EQ(properties.warpSize, 32);
  int value = 0;
  CUDA_OK(cudaDeviceGetAttribute(&value, cudaDevAttrMultiProcessorCount, 1));
  EXPECT_EQ(value, properties.multiProcessorCount);
  CUDA_OK(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 1));
  EXPECT_EQ(static_cast<std::size_t>(value), properties.sharedMemPerBlockOptin);
  char id[16];
  CUDA_OK(cudaDeviceGetPCIBusId(id, sizeof id, 1));
  EXPECT_STREQ(id, "0000:02:00.0");
  EXPECT_EQ(properties.pciBusID, 2);
}

TEST(Devices, AreRefusedBeyondTheirNumber) {
  int count = 0;
  CUDA_OK(cudaGetDeviceCount(&count));
  EXPECT_EQ(count, 16);
  EXPECT_EQ(cudaSetDevice(count), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(-1), cudaErrorInvalidDevice);
  cudaDeviceProp properties{};
  EXPECT_EQ(cudaGetDeviceProperties(&properties, count), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  int current = -1;
  CUDA_OK(cudaGetDevice(&current));
  EXPECT_EQ(current, 0);
}

TEST(Devices, HaveTheToolkitsVersion) {
  int runtime = 0, driver = 0;
  CUDA_OK(cudaRuntimeGetVersion(&runtime));
  CUDA_OK(cudaDriverGetVersion(&driver));
  EXPECT_EQ(runtime, CUDART_VERSION);
  EXPECT_EQ(driver, CUDART_VERSION);
}

__global__ void Copy(int* target, const int* source) { target[threadIdx.x] = source[threadIdx.x]; }

TEST(Devices, CopyBetweenThem) {
  DeviceArray<int> here(std::vector<int>(32, 5));
  CUDA_OK(cudaSetDevice(1));
  {
    DeviceArray<int> there(32);
    CUDA_OK(cudaMemcpyPeerAsync(there.data(), 1, here.data(), 0, 128));
    EXPECT_EQ(there.Values(), std::vector<int>(32, 5));
    EXPECT_EQ(cudaMemcpyPeerAsync(there.data(), 0, here.data(), 1, 128), cudaErrorInvalidValue);
  }
  CUDA_OK(cudaSetDevice(0));
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
}

TEST(Devices, ReachEachOthersMemoryOnlyWhenAllowed) {
  int can = 0;
  CUDA_OK(cudaDeviceCanAccessPeer(&can, 3, 4));
  EXPECT_EQ(can, 1);
  DeviceArray<int> here(std::vector<int>(32, 5));
  CUDA_OK(cudaSetDevice(3));
  {
    DeviceArray<int> there(32);
    CUDA_OK(cudaDeviceEnablePeerAccess(0, 0));
    EXPECT_EQ(cudaDeviceEnablePeerAccess(0, 0), cudaErrorPeerAccessAlreadyEnabled);
    CUDA_OK(Launch(nullptr, 1, 32, 0, "Copy", Copy, there.data(), here.data()));
    EXPECT_EQ(there.Values(), std::vector<int>(32, 5));
    CUDA_OK(cudaDeviceDisablePeerAccess(0));
    testing::internal::CaptureStderr();
    CUDA_OK(Launch(nullptr, 1, 32, 0, "Copy", Copy, there.data(), here.data()));
    EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
    EXPECT_THAT(testing::internal::GetCapturedStderr(),
                HasSubstr("is memory of device 0, which device 3 may not reach (cudaDeviceEnablePeerAccess)"));
  }
  CUDA_OK(cudaDeviceReset());
  cudaGetLastError();
  CUDA_OK(cudaSetDevice(0));
}

TEST(Devices, ForgetTheirMemoryWhenReset) {
  CUDA_OK(cudaSetDevice(5));
  void* data = nullptr;
  CUDA_OK(cudaMalloc(&data, 1000));
  CUDA_OK(cudaDeviceReset());
  std::size_t free_bytes = 0, total = 0;
  CUDA_OK(cudaMemGetInfo(&free_bytes, &total));
  EXPECT_EQ(free_bytes, total);
  EXPECT_EQ(cudaFree(data), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  CUDA_OK(cudaSetDevice(0));
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
