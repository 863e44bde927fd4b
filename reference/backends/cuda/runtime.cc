#include "reference/backends/cuda/runtime.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "reference/backends/cuda/check.h"

namespace lockstep::backends::cuda {
namespace {

int VisibleDevices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorNoDevice) return 0;
  CUDA_CHECK(status);
  return count;
}

}  // namespace

bool AskedForTF32() {
  const char* const value = std::getenv("LOCKSTEP_CUDA_TF32");
  const std::string asked = value == nullptr ? "0" : value;
  if (asked != "0" && asked != "1") throw std::invalid_argument("LOCKSTEP_CUDA_TF32=" + asked + ": expected 0 or 1");
  return asked == "1";
}

Runtime::Runtime(int rank, int ordinal, bool tf32) : rank_(rank), ordinal_(ordinal), tf32_(tf32) {
  const int visible = VisibleDevices();
  if (ordinal < 0 || ordinal >= visible) {
    throw std::runtime_error("rank " + std::to_string(rank) + " has no device: " + std::to_string(visible) +
                             (visible == 1 ? " is visible" : " are visible"));
  }
  CUDA_CHECK(cudaSetDevice(ordinal));
  CUDA_CHECK(cudaStreamCreateWithFlags(&compute_, cudaStreamNonBlocking));
  CUDA_CHECK(cudaStreamCreateWithFlags(&copy_, cudaStreamNonBlocking));
  CUBLAS_CHECK(cublasCreate(&cublas_));
  CUBLAS_CHECK(cublasSetStream(cublas_, compute_));
  CUBLAS_CHECK(cublasSetMathMode(cublas_, CUBLAS_DEFAULT_MATH));  // a product says itself what it may round
  CUBLAS_CHECK(cublasLtCreate(&cublas_lt_));
  clock_ = std::make_unique<StreamClock>(compute_);
}

// A process that ends for an error has nothing left to say of its streams.
Runtime::~Runtime() {
  clock_.reset();
  cublasLtDestroy(cublas_lt_);
  cublasDestroy(cublas_);
  cudaStreamDestroy(copy_);
  cudaStreamDestroy(compute_);
}

}  // namespace lockstep::backends::cuda
