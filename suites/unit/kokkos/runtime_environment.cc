// Kokkos runs from before the first test of this program until after the last.
#include <gtest/gtest.h>

#include <memory>

#include "reference/backends/kokkos/backend.h"

namespace lockstep::test {
namespace {

class RuntimeEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override { runtime_ = std::make_unique<backends::kokkos::Runtime>(); }
  void TearDown() override { runtime_.reset(); }

 private:
  std::unique_ptr<backends::kokkos::Runtime> runtime_;
};

[[maybe_unused]] const auto* const environment = ::testing::AddGlobalTestEnvironment(new RuntimeEnvironment);

}  // namespace
}  // namespace lockstep::test
