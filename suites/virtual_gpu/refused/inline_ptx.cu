// Refused: no such instruction|invalid register name|invalid instruction mnemonic
#include <cuda_runtime.h>

__global__ void Lane(unsigned* x) { asm("mov.u32 %0, %%laneid;" : "=r"(x[0])); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Lane", Lane, static_cast<unsigned*>(nullptr)); }
