// Programs that use cuBLAS and NCCL wrongly.
#include <cublas_v2.h>
#include <nccl.h>

#include <cstdio>
#include <cstdlib>

#include "suites/virtual_gpu/defects.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using virtual_gpu::Require;

constexpr int kSide = 16, kCount = kSide * kSide;

cudaStream_t NewStream() {
  cudaStream_t stream = nullptr;
  Require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

void Require(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  std::fprintf(stderr, "%s returned %s\n", what, cublasGetStatusName(status));
  std::exit(3);
}

void Require(ncclResult_t result, const char* what) {
  if (result == ncclSuccess) return;
  std::fprintf(stderr, "%s returned %s\n", what, ncclGetErrorString(result));
  std::exit(3);
}

// y = x x on `stream`; `leading` should be kSide. The handle lives on.
cublasHandle_t Square(cudaStream_t stream, const float* x, float* y, int leading = kSide) {
  cublasHandle_t handle = nullptr;
  const float one = 1, zero = 0;
  Require(cublasCreate(&handle), "cublasCreate");
  Require(cublasSetStream(handle, stream), "cublasSetStream");
  Require(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, kSide, kSide, kSide, &one, x, kSide, x, kSide, &zero, y, leading),
      "cublasSgemm");
  return handle;
}

void ProductWithoutWait() {
  float* const x = Ascending(kCount);
  float* const y = Ascending(kCount);
  const cudaStream_t first = NewStream(), second = NewStream();
  Square(first, x, y);
  Square(second, y, x);
  Require(cudaStreamSynchronize(first), "cudaStreamSynchronize");
}

void ProductPastItsResult() {
  float* const x = Ascending(kCount);
  Square(NewStream(), x, Ascending(kCount), kSide + 1);
}

void ProductOfHostMemory() {
  static float host[kCount];
  Square(NewStream(), host, Ascending(kCount));
}

// Two ranks, on two devices of this process.
struct Pair {
  ncclComm_t communicators[2] = {};
  cudaStream_t streams[2] = {};
  float* values[2] = {};

  Pair() {
    Require(ncclCommInitAll(communicators, 2, nullptr), "ncclCommInitAll");
    for (int device = 0; device < 2; ++device) {
      Require(cudaSetDevice(device), "cudaSetDevice");
      streams[device] = NewStream();
      values[device] = Ascending(kCount);
    }
    Require(cudaSetDevice(0), "cudaSetDevice");
  }

  void AllReduce(std::size_t count_of_second) const {
    Require(ncclGroupStart(), "ncclGroupStart");
    for (int rank = 0; rank < 2; ++rank) {
      Require(ncclAllReduce(values[rank], values[rank], rank == 0 ? kCount : count_of_second, ncclFloat32, ncclSum,
                            communicators[rank], streams[rank]),
              "ncclAllReduce");
    }
    Require(ncclGroupEnd(), "ncclGroupEnd");
  }
};

void CollectiveWithoutWait() {
  const Pair pair;
  pair.AllReduce(kCount);
  Square(NewStream(), pair.values[0], Ascending(kCount));
}

void MismatchedCollective() {
  const Pair pair;
  pair.AllReduce(kCount / 2);
  ncclResult_t result = ncclSuccess;
  while (result == ncclSuccess) Require(ncclCommGetAsyncError(pair.communicators[0], &result), "ncclCommGetAsyncError");
  Require(result, "the all-reduce");
}

void NoLibraryDefect() {
  const Pair pair;
  pair.AllReduce(kCount);
  const cublasHandle_t handle = Square(pair.streams[0], pair.values[0], Ascending(kCount));
  Require(cudaStreamSynchronize(pair.streams[0]), "cudaStreamSynchronize");
  Require(cublasDestroy(handle), "cublasDestroy");
  for (const ncclComm_t communicator : pair.communicators) {
    Require(ncclCommDestroy(communicator), "ncclCommDestroy");
  }
}

}  // namespace

std::vector<Defect> LibraryDefects() {
  return {
      {"product_without_wait", ProductWithoutWait},    {"product_past_its_result", ProductPastItsResult},
      {"product_of_host_memory", ProductOfHostMemory}, {"collective_without_wait", CollectiveWithoutWait},
      {"mismatched_collective", MismatchedCollective}, {"no_library_defect", NoLibraryDefect},
  };
}

}  // namespace lockstep::suites::virtual_gpu
