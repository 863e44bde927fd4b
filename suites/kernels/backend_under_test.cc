#include "suites/kernels/backend_under_test.h"

#include <gtest/gtest.h>

#include <optional>

#include "reference/trainer/rank_main.h"

namespace lockstep::test {
namespace {

class BackendEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override { backend_ = trainer::LinkedBackend(); }
  void TearDown() override { backend_.reset(); }
  const trainer::Backend& backend() const { return backend_.value(); }

 private:
  std::optional<trainer::Backend> backend_;
};

// GoogleTest owns it.
BackendEnvironment* const environment = new BackendEnvironment;
[[maybe_unused]] const auto* const added = ::testing::AddGlobalTestEnvironment(environment);

}  // namespace

std::unique_ptr<device::Device> MakeTestDevice(std::int64_t memory_capacity_bytes) {
  return environment->backend().make_device(memory_capacity_bytes, 0);
}

}  // namespace lockstep::test
