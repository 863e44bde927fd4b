// Refused: undefined reference to .*staged
#include <cuda_runtime.h>

extern __shared__ float staged[];

__global__ void Use(float* x) { x[0] = staged[0]; }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Use", Use, static_cast<float*>(nullptr)); }
