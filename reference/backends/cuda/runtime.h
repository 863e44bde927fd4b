// This process's share of the node: one CUDA device, its streams and its cuBLAS handles.
//
// One a process, made once the rank knows its number on the node and before anything else of CUDA; device and
// communicator borrow it. A rank whose ordinal no visible device has is refused: two ranks never share one in silence.
// Streams are non-blocking: nothing is ordered by the default stream, everything by events. Knows nothing of MPI.
#pragma once

#include <cublasLt.h>
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <memory>

#include "reference/backends/cuda/stream_clock.h"

namespace lockstep::backends::cuda {

// What LOCKSTEP_CUDA_TF32 asks for: 1, or 0 as without it. Throws std::invalid_argument for anything else.
bool AskedForTF32();

class Runtime {
 public:
  // rank: in the world, for messages; ordinal: the rank's number on its node; tf32: fp32 products may round their
  // inputs to TF32. Throws std::runtime_error "rank 3 has no device: 2 are visible".
  Runtime(int rank, int ordinal, bool tf32 = false);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  int rank() const { return rank_; }
  int ordinal() const { return ordinal_; }
  bool tf32() const { return tf32_; }
  cudaStream_t compute() const { return compute_; }  // kernels and products, in the order of calls
  cudaStream_t copy() const { return copy_; }        // between host and device
  cublasHandle_t cublas() const { return cublas_; }  // on compute(), pointers to scalars on the host
  cublasLtHandle_t cublas_lt() const { return cublas_lt_; }
  StreamClock& clock() const { return *clock_; }

 private:
  int rank_, ordinal_;
  bool tf32_;
  cudaStream_t compute_ = nullptr, copy_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
  cublasLtHandle_t cublas_lt_ = nullptr;
  std::unique_ptr<StreamClock> clock_;
};

}  // namespace lockstep::backends::cuda
