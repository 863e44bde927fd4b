// Refused: __activemask
#include <cuda_runtime.h>

__global__ void Mask(unsigned* x) { x[0] = __activemask(); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Mask", Mask, static_cast<unsigned*>(nullptr)); }
