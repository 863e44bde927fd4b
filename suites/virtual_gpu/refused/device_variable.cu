// Refused: no_instrument_function
#include <cuda_runtime.h>

__device__ int counter;

__global__ void Count() { atomicAdd(&counter, 1); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Count", Count); }
