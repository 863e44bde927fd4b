// What the Kokkos backend alone has: what it says of itself.
#include <gtest/gtest.h>

#include "reference/backends/kokkos/backend.h"
#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

constexpr int kOrdinal = 3;

TEST(KokkosDevice, IsTheHostAndNamesItsLibraries) {
  const auto runtime_lives = MakeTestDevice();
  const auto info = backends::kokkos::MakeDevice(0, kOrdinal)->Info();
  EXPECT_EQ(info.kind, "host");
  EXPECT_EQ(info.ordinal, kOrdinal);
  EXPECT_NE(info.name.find(", Kokkos "), std::string::npos) << info.name;
  for (const char* library : {"kokkos", "kokkos_threads", "onednn"})
    EXPECT_TRUE(info.libraries.contains(library)) << library;
}

TEST(KokkosDevice, IsCalledByItsOrdinalWhereMemoryEnds) {
  const auto runtime_lives = MakeTestDevice();
  const auto device = backends::kokkos::MakeDevice(10, kOrdinal);
  try {
    device->Allocate(11, device::Category::kOptimizer);
    FAIL() << "11 bytes were given where 10 are left";
  } catch (const device::OutOfMemory& problem) {
    EXPECT_STREQ(problem.what(), "out of memory: rank's device 3: optimizer wants 11 bytes, 0 of 10 in use");
  }
}

}  // namespace
}  // namespace lockstep::test
