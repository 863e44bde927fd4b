// Refused: cuda_fp16\.h: No such file|cuda_fp16\.h. file not found|redefinition of .*char1
#include <cuda_fp16.h>
#include <cuda_runtime.h>

__global__ void Double(half* x) { x[0] = __hadd(x[0], x[0]); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Double", Double, static_cast<half*>(nullptr)); }
