// Refused: __constant__
#include <cuda_runtime.h>

__constant__ float factor;

int main() { return static_cast<int>(factor); }
