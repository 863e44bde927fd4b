// Programs that order their work too little: what a real GPU runs right most of the time.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>

#include "suites/virtual_gpu/defects.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using lockstep::virtual_gpu::Launch;
constexpr int kCount = 256;

__global__ void Produce(float* x) { x[threadIdx.x] = static_cast<float>(threadIdx.x); }

__global__ void Consume(float* y, const float* x) {
  y[threadIdx.x] = 2 * x[threadIdx.x];  // DEFECT missing_stream_wait
}

struct Streams {
  cudaStream_t producer = nullptr, consumer = nullptr;
  float *x = nullptr, *y = nullptr;

  Streams() {
    Require(cudaStreamCreateWithFlags(&producer, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    Require(cudaStreamCreateWithFlags(&consumer, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    Require(cudaMalloc(&x, kCount * sizeof(float)), "cudaMalloc");
    Require(cudaMalloc(&y, kCount * sizeof(float)), "cudaMalloc");
  }

  // Prints whether y is what it must be.
  void Judge() const {
    std::vector<float> result(kCount);
    Require(cudaMemcpyAsync(result.data(), y, kCount * sizeof(float), cudaMemcpyDeviceToHost, consumer), "copy");
    Require(cudaStreamSynchronize(consumer), "cudaStreamSynchronize");
    for (int i = 0; i < kCount; ++i) {
      if (result[static_cast<std::size_t>(i)] == static_cast<float>(2 * i)) continue;
      std::fprintf(stderr, "wrong result: element %d is %g\n", i,
                   static_cast<double>(result[static_cast<std::size_t>(i)]));
      std::exit(4);
    }
    std::puts("right result");
  }
};

// `waits`: whether the consumer waits for the producer, as it must.
void ProduceAndConsume(bool waits) {
  const Streams s;
  Require(Launch(s.producer, 1, kCount, 0, "Produce", Produce, s.x), "Launch");
  if (waits) {
    cudaEvent_t produced = nullptr;
    Require(cudaEventCreateWithFlags(&produced, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    Require(cudaEventRecord(produced, s.producer), "cudaEventRecord");
    Require(cudaStreamWaitEvent(s.consumer, produced), "cudaStreamWaitEvent");
  }
  Require(Launch(s.consumer, 1, kCount, 0, "Consume", Consume, s.y, s.x), "Launch");
  s.Judge();
}

void CopyWithoutWait() {
  const Streams s;
  float* pinned = nullptr;
  Require(cudaMallocHost(&pinned, kCount * sizeof(float)), "cudaMallocHost");
  Require(Launch(s.producer, 1, kCount, 0, "Produce", Produce, s.x), "Launch");
  Require(cudaMemcpyAsync(pinned, s.x, kCount * sizeof(float), cudaMemcpyDeviceToHost, s.producer), "copy");
  float sum = 0;
  for (int i = 0; i < kCount; ++i) sum += pinned[i];  // DEFECT copy_without_wait
  std::printf("the sum is %g\n", static_cast<double>(sum));
}

void OverwritesWhatIsCopied() {
  const Streams s;
  float* pinned = nullptr;
  Require(cudaMallocHost(&pinned, kCount * sizeof(float)), "cudaMallocHost");
  for (int i = 0; i < kCount; ++i) pinned[i] = static_cast<float>(i);
  Require(cudaMemcpyAsync(s.x, pinned, kCount * sizeof(float), cudaMemcpyHostToDevice, s.consumer), "copy");
  for (int i = 0; i < kCount; ++i) pinned[i] = -1;  // DEFECT overwrites_what_is_copied
  Require(Launch(s.consumer, 1, kCount, 0, "Consume", Consume, s.y, s.x), "Launch");
  s.Judge();
}

void CopyOfFreed() {
  float* const x = Ascending(kCount);
  Require(cudaFree(x), "cudaFree");
  float host[kCount];
  Require(cudaMemcpy(host, x, sizeof host, cudaMemcpyDeviceToHost), "cudaMemcpy");
}

void CopyTooLong() {
  float* const x = Ascending(kCount);
  float host[kCount + 1];
  Require(cudaMemcpy(host, x, sizeof host, cudaMemcpyDeviceToHost), "cudaMemcpy");
}

void CopyOfWrongKind() {
  float* const x = Ascending(kCount);
  float host[kCount];
  Require(cudaMemcpy(host, x, sizeof host, cudaMemcpyHostToDevice), "cudaMemcpy");
}

}  // namespace

std::vector<Defect> StreamDefects() {
  return {
      {"missing_stream_wait", [] { ProduceAndConsume(false); }},
      {"no_defect", [] { ProduceAndConsume(true); }},
      {"copy_without_wait", CopyWithoutWait},
      {"overwrites_what_is_copied", OverwritesWhatIsCopied},
      {"copy_of_freed", CopyOfFreed},
      {"copy_too_long", CopyTooLong},
      {"copy_of_wrong_kind", CopyOfWrongKind},
  };
}

}  // namespace lockstep::suites::virtual_gpu
