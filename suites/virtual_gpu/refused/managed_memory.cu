// Refused: __managed__
#include <cuda_runtime.h>

__managed__ float factor;

int main() { return static_cast<int>(factor); }
