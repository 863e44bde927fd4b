// Refused: cooperative_groups
#include <cooperative_groups.h>
#include <cuda_runtime.h>

__global__ void Meet() { cooperative_groups::this_thread_block().sync(); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Meet", Meet); }
