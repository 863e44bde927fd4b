#include "reference/device/arena.h"
#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

using device::Category;

TEST(Memory, CountsEveryByteByCategoryAndKeepsPeaks) {
  const auto device = MakeTestDevice();
  {
    const auto parameters = device->Allocate(100, Category::kParameters);
    {
      const auto first = device->Allocate(1000, Category::kActivations);
      EXPECT_EQ(device->Memory().total_now, 1100);
    }
    const auto second = device->Allocate(10, Category::kActivations);
    EXPECT_EQ(device->Memory().now[static_cast<int>(Category::kActivations)], 10);
  }
  EXPECT_EQ(device->Memory().peak[static_cast<int>(Category::kParameters)], 100);
  EXPECT_EQ(device->Memory().peak[static_cast<int>(Category::kActivations)], 1000);
  EXPECT_EQ(device->Memory().total_peak, 1100);
  EXPECT_EQ(device->Memory().total_now, 0);
}

TEST(Memory, TheCapIsExactAndARefusalTakesNothing) {
  const auto device = MakeTestDevice(1000);
  const auto first = device->Allocate(600, Category::kGradients);
  try {
    const auto second = device->Allocate(401, Category::kOptimizer);
    FAIL() << "401 bytes were given where 400 are left";
  } catch (const device::OutOfMemory& problem) {
    EXPECT_STREQ(problem.what(), "out of memory: rank's device 0: optimizer wants 401 bytes, 600 of 1000 in use");
  }
  EXPECT_EQ(device->Memory().total_now, 600);
  EXPECT_TRUE(device->Allocate(400, Category::kOptimizer));
  EXPECT_EQ(device->Memory().total_peak, 1000);
  EXPECT_THROW(device->Allocate(std::size_t{1} << 62, Category::kOptimizer), device::OutOfMemory);
}

TEST(Memory, WhatTheDeviceDoesNotHaveIsOutOfMemoryToo) {
  const auto device = MakeTestDevice();
  EXPECT_THROW(device->Allocate(std::size_t{1} << 62, Category::kActivations), device::OutOfMemory);
  EXPECT_EQ(device->Memory().total_now, 0);
}

TEST(Memory, BlocksAreAlignedAndThoseOfZeroBytesThere) {
  const auto device = MakeTestDevice();
  for (const std::size_t bytes : {1, 63, 12345}) {
    const auto buffer = device->Allocate(bytes, Category::kActivations);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
  }
  EXPECT_TRUE(device->Allocate(0, Category::kActivations));
}

TEST(Memory, UsesABlockAgainThatWasGivenBackButUnderAddressSanitizer) {
  const auto device = MakeTestDevice();
  const void* const before = device->Allocate(12345, Category::kActivations).data();
  const void* const again = device->Allocate(12345, Category::kWorkspace).data();
  EXPECT_TRUE(again == before || !device::kRecycles);
}

TEST(Memory, AMovedBufferIsFreedOnce) {
  const auto device = MakeTestDevice();
  {
    auto first = device->Allocate(64, Category::kActivations);
    device::Buffer second = std::move(first);
    first = device->Allocate(32, Category::kActivations);
    second = std::move(first);
  }
  EXPECT_EQ(device->Memory().total_now, 0);
}

TEST(Memory, ZeroAndCopyReachEveryByte) {
  const auto device = MakeTestDevice();
  for (const std::int64_t n : {0, 1, 1023, 200003}) {
    Desk desk(*device, 1);
    const auto x = Random(n, 1);
    float* const source = desk.In(x);
    float* const target = desk.Out(n);
    device->Copy(target, source, n * sizeof(float));
    EXPECT_EQ(desk.Read(target, n), x);
    device->Zero(target, n * sizeof(float));
    EXPECT_EQ(desk.Read(target, n), std::vector<float>(n, 0.0f));
  }
}

TEST(Device, SaysWhatItIs) {
  const auto info = MakeTestDevice()->Info();
  EXPECT_TRUE(info.kind == "host" || info.kind == "gpu" || info.kind == "virtual") << info.kind;
  EXPECT_EQ(info.ordinal, 0);
  EXPECT_FALSE(info.name.empty());
  EXPECT_TRUE(info.libraries.contains("bf16_products"));
  for (const auto& [library, version] : info.libraries) EXPECT_FALSE(library.empty() || version.empty()) << library;
}

}  // namespace
}  // namespace lockstep::test
