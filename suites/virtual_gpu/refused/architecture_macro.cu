// Refused: poisoned( identifier|.*__CUDA_ARCH__)
#include <cuda_runtime.h>

__device__ inline int Wide() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  return 2;
#else
  return 1;
#endif
}

int main() { return Wide(); }
