#include "reference/backends/cuda/runtime.h"

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

Runtime::Runtime(int rank, int ordinal) : rank_(rank), ordinal_(ordinal) {
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
  CUBLAS_CHECK(cublasSetMathMode(cublas_, CUBLAS_DEFAULT_MATH));  // no TF32
  CUBLAS_CHECK(cublasLtCreate(&cublas_lt_));
}

// A process that ends for an error has nothing left to say of its streams.
Runtime::~Runtime() {
  cublasLtDestroy(cublas_lt_);
  cublasDestroy(cublas_);
  cudaStreamDestroy(copy_);
  cudaStreamDestroy(compute_);
}

}  // namespace lockstep::backends::cuda
