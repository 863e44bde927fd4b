// Every call of CUDA and cuBLAS is checked: what fails throws with rank, host, file, line and expression.
//
//   CUDA_CHECK(cudaStreamSynchronize(stream));
//   -> "rank 3 on node7: reference/backends/cuda/x.cc:12: cudaStreamSynchronize(stream): cudaErrorIllegalAddress: an
//      illegal memory access was encountered"
// The rank is the launcher's (Open MPI, Slurm, torchrun variables), "?" where there is none.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace lockstep::backends::cuda {

class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "rank 3 on node7: FILE:LINE: EXPRESSION: "; the file relative to the repository's root.
std::string Where(const char* expression, const char* file, int line);

void CheckCuda(cudaError_t status, const char* expression, const char* file, int line);
void CheckCublas(cublasStatus_t status, const char* expression, const char* file, int line);

}  // namespace lockstep::backends::cuda

#define CUDA_CHECK(expression) ::lockstep::backends::cuda::CheckCuda((expression), #expression, __FILE__, __LINE__)
#define CUBLAS_CHECK(expression) ::lockstep::backends::cuda::CheckCublas((expression), #expression, __FILE__, __LINE__)
