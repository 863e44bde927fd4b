// Runs one planted defect: virtual_gpu_defects NAME. Exit status 0 means that nothing was noticed.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "suites/virtual_gpu/defects.h"

namespace lockstep::suites::virtual_gpu {

void Require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s returned %s\n", what, cudaGetErrorName(error));
  std::exit(3);
}

float* Ascending(int n) {
  std::vector<float> values(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>(i);
  float* data = nullptr;
  Require(cudaMalloc(&data, values.size() * sizeof(float)), "cudaMalloc");
  Require(cudaMemcpy(data, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy");
  return data;
}

}  // namespace lockstep::suites::virtual_gpu

int main(int count, char** arguments) {
  using namespace lockstep::suites::virtual_gpu;  // NOLINT
  std::vector<Defect> defects = KernelDefects();
  for (const Defect& defect : StreamDefects()) defects.push_back(defect);
  for (const Defect& defect : LibraryDefects()) defects.push_back(defect);
  for (const Defect& defect : defects) {
    if (count == 2 && std::strcmp(arguments[1], defect.name) == 0) {
      defect.run();
      Require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
      std::puts("nothing was noticed");
      return 0;
    }
  }
  std::fprintf(stderr, "usage: %s NAME, one of:\n", arguments[0]);
  for (const Defect& defect : defects) std::fprintf(stderr, "  %s\n", defect.name);
  return 2;
}
