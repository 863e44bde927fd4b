// Refused: expected (primary-)?expression
#include <cuda_runtime.h>

__global__ void Nothing() {}

int main() { Nothing<<<1, 32>>>(); }
