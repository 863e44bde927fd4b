// Refused: a kernel is launched, not called
#include <cuda_runtime.h>

__global__ void Zero(float* x) { x[threadIdx.x] = 0; }

int main() {
  float x[1];
  Zero(x);
}
