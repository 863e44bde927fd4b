// Planted defects: each a function that a program runs by name, in a process of its own, since most end it.
//
// A line that a sanitizer or a diagnosis must name ends in `// DEFECT name`; the test looks its number up.
#pragma once

#include <cuda_runtime.h>

#include <vector>

namespace lockstep::suites::virtual_gpu {

struct Defect {
  const char* name;
  void (*run)();
};

std::vector<Defect> KernelDefects();   // of threads that meet, and of memory
std::vector<Defect> StreamDefects();   // of work that is ordered too little
std::vector<Defect> LibraryDefects();  // of cuBLAS and NCCL

// Ends the process with status 3 and a line that says so: a defect was told by an error code.
void Require(cudaError_t error, const char* what);

// Device memory for n floats 0, 1, 2, ...
float* Ascending(int n);

}  // namespace lockstep::suites::virtual_gpu
