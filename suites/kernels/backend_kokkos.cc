#include <gtest/gtest.h>

#include "reference/backends/kokkos/backend.h"
#include "suites/kernels/backend_under_test.h"

namespace lockstep::test {
namespace {

constexpr int kOrdinal = 3;

class RuntimeEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override { runtime_ = std::make_unique<backends::kokkos::Runtime>(); }
  void TearDown() override { runtime_.reset(); }

 private:
  std::unique_ptr<backends::kokkos::Runtime> runtime_;
};

[[maybe_unused]] const auto* const environment = ::testing::AddGlobalTestEnvironment(new RuntimeEnvironment);

}  // namespace

std::unique_ptr<device::Device> MakeTestDevice(std::int64_t memory_capacity_bytes) {
  return backends::kokkos::MakeDevice(memory_capacity_bytes, kOrdinal);
}

BackendFacts Facts() {
  return {.kind = "host", .name = ", Kokkos ", .ordinal = kOrdinal, .libraries = {"kokkos", "onednn", "bf16_products"}};
}

}  // namespace lockstep::test
