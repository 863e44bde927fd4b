#include <gtest/gtest.h>

#include "reference/backends/cuda/backend.h"
#include "suites/kernels/backend_under_test.h"

namespace lockstep::test {
namespace {

class RuntimeEnvironment final : public ::testing::Environment {
 public:
  void SetUp() override { runtime_ = std::make_unique<backends::cuda::Runtime>(0, 0); }
  void TearDown() override { runtime_.reset(); }
  backends::cuda::Runtime& runtime() { return *runtime_; }

 private:
  std::unique_ptr<backends::cuda::Runtime> runtime_;
};

// GoogleTest owns it.
RuntimeEnvironment* const environment = new RuntimeEnvironment;
[[maybe_unused]] const auto* const added = ::testing::AddGlobalTestEnvironment(environment);

}  // namespace

std::unique_ptr<device::Device> MakeTestDevice(std::int64_t memory_capacity_bytes) {
  return backends::cuda::MakeDevice(environment->runtime(), memory_capacity_bytes);
}

BackendFacts Facts() {
  BackendFacts facts;
#ifdef LOCKSTEP_VIRTUAL_GPU
  facts.kind = "virtual";
#else
  facts.kind = "gpu";
#endif
  facts.libraries = {"cuda_runtime", "cuda_driver", "cublas", "nccl", "fp32_products", "bf16_products"};
  return facts;
}

}  // namespace lockstep::test
