// Refused: cooperative_groups. has not been declared|identifier .cooperative_groups|groups\.h.*(No such|not found)
#include <cooperative_groups.h>
#include <cuda_runtime.h>

__global__ void Meet() { cooperative_groups::this_thread_block().sync(); }

int main() { return lockstep::virtual_gpu::Launch(nullptr, 1, 32, 0, "Meet", Meet); }
