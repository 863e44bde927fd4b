// Refused: a kernel is launched, not called
#include <cuda_runtime.h>

template <typename T>
__global__ void Zero(T* x) {
  x[threadIdx.x] = 0;
}

__global__ void Twice(float* x) { Zero(x); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Twice", Twice, static_cast<float*>(nullptr)); }
