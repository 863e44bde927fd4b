// What the CUDA backend alone has: whose device it is, what it says of itself, what a failed call says, what TF32 does
// when asked for.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <optional>

#include "reference/backends/cuda/backend.h"
#include "reference/backends/cuda/check.h"
#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

#ifdef LOCKSTEP_VIRTUAL_GPU
constexpr bool kVirtual = true;
#else
constexpr bool kVirtual = false;
#endif

using backends::cuda::AskedForTF32;
using backends::cuda::CudaError;
using backends::cuda::Runtime;

// Sets a variable of the environment and puts it back.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* const old = std::getenv(name)) old_ = old;
    setenv(name, value, 1);
  }
  ~Variable() {
    if (old_) {
      setenv(name_, old_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

template <typename Error, typename Body>
std::string WhatOf(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Runtime, RefusesARankThatHasNoDeviceOfItsOwn) {
  int visible = 0;
  CUDA_CHECK(cudaGetDeviceCount(&visible));
  const std::string what = WhatOf<std::runtime_error>([=] { Runtime(3, visible); });
  EXPECT_EQ(what.rfind("rank 3 has no device: " + std::to_string(visible) + (visible == 1 ? " is" : " are"), 0), 0u)
      << what;
}

TEST(Check, NamesRankHostFileLineAndExpression) {
  const Variable rank("OMPI_COMM_WORLD_RANK", "5");
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const std::string what = WhatOf<CudaError>([] { CUDA_CHECK(cudaSetDevice(-1)); });
  EXPECT_EQ(what.rfind("rank 5 on " + std::string(host) + ": ", 0), 0u) << what;
  for (const char* part : {"runtime_test.cc:", "cudaSetDevice(-1): ", "cudaErrorInvalidDevice: "}) {
    EXPECT_NE(what.find(part), std::string::npos) << part << " in " << what;
  }
  static_cast<void>(cudaGetLastError());
}

TEST(CudaDevice, IsAGpuOrSaysThatItIsVirtualAndNamesItsLibraries) {
  const auto info = MakeTestDevice()->Info();
  EXPECT_EQ(info.kind, kVirtual ? "virtual" : "gpu");
  for (const char* library : {"cuda_runtime", "cuda_driver", "cublas", "nccl", "fp32_products"}) {
    EXPECT_TRUE(info.libraries.contains(library)) << library;
  }
}

TEST(Memory, WhatTheDeviceDoesNotHaveNamesRankDeviceCategoryAndBytes) {
  const auto device = MakeTestDevice();
  const std::string what = WhatOf<device::OutOfMemory>(
      [&] { static_cast<void>(device->Allocate(std::size_t{1} << 60, device::Category::kOptimizer)); });
  EXPECT_EQ(what.rfind("out of memory: rank 0's device 0: optimizer wants 1152921504606846976 bytes, 0 in use", 0), 0u)
      << what;
}

TEST(TF32, IsOffUnlessTheEnvironmentAsksForIt) {
  EXPECT_EQ(MakeTestDevice()->Info().libraries.at("fp32_products"), "fp32, no TF32");
  EXPECT_FALSE(AskedForTF32());
  {
    const Variable asked("LOCKSTEP_CUDA_TF32", "1");
    EXPECT_TRUE(AskedForTF32());
  }
  const Variable wrong("LOCKSTEP_CUDA_TF32", "yes");
  EXPECT_EQ(WhatOf<std::invalid_argument>([] { AskedForTF32(); }), "LOCKSTEP_CUDA_TF32=yes: expected 0 or 1");
}

// fp32 keeps 23 bits behind the point, TF32 10.
TEST(TF32, RoundsTheInputsOfProductsWhenAskedForAndIsSaid) {
  constexpr std::int64_t n = 64;
  const float x = 1 + 0x1p-12f;
  for (const bool tf32 : {false, true}) {
    Runtime runtime(0, 0, tf32);
    const auto device = backends::cuda::MakeDevice(runtime, 0);
    EXPECT_EQ(device->Info().libraries.at("fp32_products"), tf32 ? "TF32, as asked for" : "fp32, no TF32");
    Desk desk(*device, 0);
    float* const c = desk.Out(n * n);
    device->Multiply({.m = n,
                      .n = n,
                      .k = 1,
                      .a = {desk.In(std::vector<float>(n, x))},
                      .b = {desk.In(std::vector<float>(n, 1.0f))},
                      .c = c});
    const auto got = desk.Read(c, n * n);
    // A real GPU may round when it is asked to, and need not.
    const bool rounds = tf32 && kVirtual;
    if (tf32 && !rounds) continue;
    EXPECT_EQ(got, std::vector<float>(n * n, rounds ? 1.0f : x)) << "TF32 " << tf32;
  }
}

}  // namespace
}  // namespace lockstep::test
