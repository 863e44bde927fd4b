// Refused: cudaMallocManaged
#include <cuda_runtime.h>

int main() {
  float* x = nullptr;
  return cudaMallocManaged(&x, 64);
}
