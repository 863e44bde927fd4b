#include "reference/backends/cuda/check.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace lockstep::backends::cuda {
namespace {

const char* LaunchersRank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "SLURM_PROCID", "RANK"}) {
    if (const char* value = std::getenv(name)) return value;
  }
  return "?";
}

const char* FromRoot(const char* file) {
  const char* const found = std::strstr(file, "reference/backends/");
  return found == nullptr ? file : found;
}

}  // namespace

std::string Where(const char* expression, const char* file, int line) {
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  return std::string("rank ") + LaunchersRank() + " on " + host + ": " + FromRoot(file) + ":" + std::to_string(line) +
         ": " + expression + ": ";
}

void CheckCuda(cudaError_t status, const char* expression, const char* file, int line) {
  if (status == cudaSuccess) return;
  throw CudaError(Where(expression, file, line) + cudaGetErrorName(status) + ": " + cudaGetErrorString(status));
}

void CheckCublas(cublasStatus_t status, const char* expression, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw CudaError(Where(expression, file, line) + cublasGetStatusName(status) + ": " + cublasGetStatusString(status));
}

}  // namespace lockstep::backends::cuda
