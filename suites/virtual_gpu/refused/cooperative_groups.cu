// Refused: cooperative_groups. has not been declared|undeclared identifier .cooperative_groups|cooperative_groups\.h:
// No such file|cooperative_groups\.h. file not found
#include <cooperative_groups.h>
#include <cuda_runtime.h>

__global__ void Meet() { cooperative_groups::this_thread_block().sync(); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Meet", Meet); }
