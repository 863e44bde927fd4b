// What is covered compiles, links and runs: the others are refused for what they hold.
#include <cuda_runtime.h>

__device__ inline float Twice(float x) { return 2 * x; }

template <typename T>
__global__ void Double(T* x) {
  __shared__ T staged[32];
  staged[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = Twice(staged[31 - threadIdx.x]);
}

int main() {
  float* x = nullptr;
  if (cudaMalloc(&x, 32 * sizeof(float)) != cudaSuccess) return 1;
  if (lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Double", Double<float>, x) != cudaSuccess) return 1;
  return cudaDeviceSynchronize() == cudaSuccess ? 0 : 1;
}
