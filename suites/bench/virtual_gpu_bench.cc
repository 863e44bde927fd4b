// How fast virtual GPUs run kernels: what tests on them cost. These are no figures of a GPU.
//
// threads/s counts kernel threads by the processor time of the stream that runs them; floors on two cores are 40
// million elementwise and 3 million with shuffles and barriers. Launches are timed by the wall: enqueueing alone, a
// launch that the host waits for, and a launch in a row of many, for kernels of one block, which a tiny model's mostly
// are.
#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <chrono>
#include <ctime>
#include <stdexcept>

#include "reference/virtual_gpu/runtime/enqueue.h"
#include "suites/bench/run.h"

namespace lockstep::bench {
namespace {

using virtual_gpu::Enqueue;
using virtual_gpu::Launch;
constexpr unsigned kFull = 0xffffffffu;
constexpr int kBlock = 256;

void Check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

__global__ void AddOne(float* x, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] += 1;
}

// y[row] = sum of x[row][:], as a layer norm does twice: shuffles within warps, then one barrier.
__global__ void SumRows(float* y, const float* x, int width) {
  __shared__ float parts[kBlock / 32];
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < width; i += kBlock) {
    sum += x[blockIdx.x * static_cast<unsigned>(width) + static_cast<unsigned>(i)];
  }
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(kFull, sum, distance);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < kBlock / 32; ++i) sum += parts[i];
    y[blockIdx.x] = sum;
  }
}

__global__ void Barriers(float* x, int count) {
  for (int i = 0; i < count; ++i) __syncthreads();
  x[threadIdx.x] = 0;
}

__global__ void Shuffles(float* x, int count) {
  float value = x[threadIdx.x];
  for (int i = 0; i < count; ++i) value = __shfl_xor_sync(kFull, value, 1);
  x[threadIdx.x] = value;
}

// Device memory and a stream whose thread's processor time can be read.
class Bench {
 public:
  explicit Bench(std::size_t n) {
    Check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    Check(cudaMalloc(&data_, n * sizeof(float)));
    Check(cudaMemsetAsync(data_, 0, n * sizeof(float), stream_));
    Check(cudaStreamSynchronize(stream_));
  }
  ~Bench() {
    cudaStreamDestroy(stream_);
    cudaFree(data_);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  float* data() const { return data_; }
  cudaStream_t stream() const { return stream_; }
  // Processor time of the stream's thread between two marks in its order, in seconds.
  template <typename Work>
  double Time(Work work) {
    timespec begin{}, end{};
    const auto mark = [](timespec* time) {
      return [time] { return clock_gettime(CLOCK_THREAD_CPUTIME_ID, time), cudaSuccess; };
    };
    Enqueue(stream_, "mark", mark(&begin));
    work();
    Enqueue(stream_, "mark", mark(&end));
    Check(cudaStreamSynchronize(stream_));
    return static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
  }

 private:
  cudaStream_t stream_ = nullptr;
  float* data_ = nullptr;
};

void CountThreads(benchmark::State& state, double each) {
  state.counters["threads/s"] =
      benchmark::Counter(each * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void Elementwise(benchmark::State& state) {
  const int n = 1 << 20;
  Bench bench(n);
  for (auto _ : state) {
    state.SetIterationTime(
        bench.Time([&] { Check(Launch(bench.stream(), n / kBlock, kBlock, 0, "AddOne", AddOne, bench.data(), n)); }));
  }
  CountThreads(state, n);
}
BENCHMARK(Elementwise)->UseManualTime()->Unit(benchmark::kMillisecond);

void ShufflesAndABarrier(benchmark::State& state) {
  const int rows = 1024, width = 768;
  Bench bench(rows * (width + 1));
  float* const sums = bench.data() + rows * width;
  for (auto _ : state) {
    state.SetIterationTime(bench.Time(
        [&] { Check(Launch(bench.stream(), rows, kBlock, 0, "SumRows", SumRows, sums, bench.data(), width)); }));
  }
  CountThreads(state, rows * kBlock);
}
BENCHMARK(ShufflesAndABarrier)->UseManualTime()->Unit(benchmark::kMillisecond);

// Time of one thread at one meeting.
void Meetings(benchmark::State& state, void (*kernel)(float*, int)) {
  const int count = 1000;
  Bench bench(kBlock);
  for (auto _ : state) {
    state.SetIterationTime(
        bench.Time([&] { Check(Launch(bench.stream(), 1, kBlock, 0, "Meetings", kernel, bench.data(), count)); }));
  }
  state.counters["meetings/s"] =
      benchmark::Counter(1.0 * count * kBlock * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(Meetings, barrier, Barriers)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Meetings, shuffle, Shuffles)->UseManualTime()->Unit(benchmark::kMillisecond);

void LaunchInARow(benchmark::State& state) {
  Bench bench(kBlock);
  for (auto _ : state) {
    for (int i = 0; i < 100; ++i) {
      Check(Launch(bench.stream(), 1, kBlock, 0, "AddOne", AddOne, bench.data(), kBlock));
    }
    Check(cudaStreamSynchronize(bench.stream()));
  }
  state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(LaunchInARow)->UseRealTime()->Unit(benchmark::kMicrosecond);

void LaunchAndWait(benchmark::State& state) {
  Bench bench(kBlock);
  for (auto _ : state) {
    Check(Launch(bench.stream(), 1, kBlock, 0, "AddOne", AddOne, bench.data(), kBlock));
    Check(cudaStreamSynchronize(bench.stream()));
  }
}
BENCHMARK(LaunchAndWait)->UseRealTime()->Unit(benchmark::kMicrosecond);

// From one stream to another and back by events.
void HandOver(benchmark::State& state) {
  Bench first(kBlock), second(kBlock);
  cudaEvent_t event = nullptr;
  Check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  for (auto _ : state) {
    for (int i = 0; i < 50; ++i) {
      Check(cudaEventRecord(event, first.stream()));
      Check(cudaStreamWaitEvent(second.stream(), event));
      Check(cudaEventRecord(event, second.stream()));
      Check(cudaStreamWaitEvent(first.stream(), event));
    }
    Check(cudaStreamSynchronize(first.stream()));
  }
  state.SetItemsProcessed(state.iterations() * 100);
  Check(cudaEventDestroy(event));
}
BENCHMARK(HandOver)->UseRealTime()->Unit(benchmark::kMicrosecond);

// What closing an idle device's memory costs a copy that finds it idle.
void CopyFromAnIdleDevice(benchmark::State& state) {
  Bench bench(static_cast<std::size_t>(state.range(0)) << 18);
  float host[256];
  for (auto _ : state) Check(cudaMemcpy(host, bench.data(), sizeof host, cudaMemcpyDeviceToHost));
}
BENCHMARK(CopyFromAnIdleDevice)->ArgName("MiB")->Arg(1)->Arg(64)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) { return lockstep::bench::Run(argc, argv); }
