// Streams and events: what is ordered, what is not, and what a broken device says.
#include <cuda_runtime.h>
#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "reference/virtual_gpu/runtime/enqueue.h"
#include "suites/virtual_gpu/device_array.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using lockstep::virtual_gpu::Enqueue;
using lockstep::virtual_gpu::Launch;
using testing::Each;

__global__ void Fill(int* x, int value) { x[blockIdx.x * blockDim.x + threadIdx.x] = value; }
__global__ void AddTo(int* y, const int* x) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  y[i] += x[i];
}

class Stream {
 public:
  explicit Stream(unsigned flags = cudaStreamNonBlocking) {
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, flags), cudaSuccess);
  }
  ~Stream() { EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  explicit Event(unsigned flags = cudaEventDefault) {
    EXPECT_EQ(cudaEventCreateWithFlags(&event_, flags), cudaSuccess);
  }
  ~Event() { EXPECT_EQ(cudaEventDestroy(event_), cudaSuccess); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Work that holds a stream until the host opens it.
class Gate {
 public:
  std::function<cudaError_t()> Work() {
    return [this] {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return open_; });
      return cudaSuccess;
    };
  }
  void Open() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

TEST(Streams, RunTheirWorkInOrder) {
  const Stream stream;
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    Enqueue(stream, "note", [&order, i] {
      order.push_back(i);
      return cudaSuccess;
    });
  }
  CUDA_OK(cudaStreamSynchronize(stream));
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  CUDA_OK(cudaStreamQuery(stream));
}

TEST(Streams, RunBesideOneAnother) {
  const Stream first, second;
  Gate gate;
  Enqueue(first, "hold", gate.Work());
  std::atomic<bool> ran = false;
  Enqueue(second, "run", [&ran] {
    ran = true;
    return cudaSuccess;
  });
  CUDA_OK(cudaStreamSynchronize(second));
  EXPECT_TRUE(ran);
  EXPECT_EQ(cudaStreamQuery(first), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  gate.Open();
  CUDA_OK(cudaStreamSynchronize(first));
}

TEST(Streams, HaveAThreadOfTheirOwn) {
  const Stream first, second;
  std::thread::id ids[3];
  Enqueue(first, "note", [&] { return ids[0] = std::this_thread::get_id(), cudaSuccess; });
  Enqueue(first, "note", [&] { return ids[1] = std::this_thread::get_id(), cudaSuccess; });
  Enqueue(second, "note", [&] { return ids[2] = std::this_thread::get_id(), cudaSuccess; });
  CUDA_OK(cudaDeviceSynchronize());
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_NE(ids[0], ids[2]);
  EXPECT_NE(ids[0], std::this_thread::get_id());
}

TEST(Streams, FinishWhatTheyHoldWhenDestroyed) {
  DeviceArray<int> x(256);
  {
    const Stream stream;
    CUDA_OK(Launch(stream, 1, 256, 0, "Fill", Fill, x.data(), 3));
  }
  EXPECT_THAT(x.Values(), Each(3));
}

TEST(Streams, AreMadeOncePolledToTheirEnd) {
  const Stream stream;
  DeviceArray<int> x(256);
  CUDA_OK(Launch(stream, 1, 256, 0, "Fill", Fill, x.data(), 3));
  cudaError_t state = cudaErrorNotReady;
  while ((state = cudaStreamQuery(stream)) == cudaErrorNotReady) std::this_thread::yield();
  EXPECT_EQ(state, cudaSuccess);
  cudaGetLastError();
}

TEST(Streams, OfTheDefaultKindWaitForTheDefaultStreamAndItForThem) {
  const Stream blocking(cudaStreamDefault);
  DeviceArray<int> x(256), y(std::vector<int>(256, 1));
  for (int round = 0; round < 20; ++round) {
    CUDA_OK(Launch(blocking, 1, 256, 0, "Fill", Fill, x.data(), round));
    CUDA_OK(Launch(nullptr, 1, 256, 0, "AddTo", AddTo, y.data(), x.data()));
  }
  EXPECT_THAT(y.Values(), Each(1 + 190));
}

TEST(Streams, ThatDoNotBlockRunBesideTheDefaultStream) {
  const Stream stream;
  Gate gate;
  Enqueue(nullptr, "hold", gate.Work());
  Enqueue(stream, "run", [] { return cudaSuccess; });
  CUDA_OK(cudaStreamSynchronize(stream));
  gate.Open();
  CUDA_OK(cudaStreamSynchronize(nullptr));
}

TEST(Streams, TellWhatTheyWereMadeWith) {
  cudaStream_t stream = nullptr;
  CUDA_OK(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, -3));
  int priority = 0, device = -1;
  unsigned flags = 0;
  CUDA_OK(cudaStreamGetPriority(stream, &priority));
  CUDA_OK(cudaStreamGetFlags(stream, &flags));
  CUDA_OK(cudaStreamGetDevice(stream, &device));
  EXPECT_EQ(priority, -3);
  EXPECT_EQ(flags, cudaStreamNonBlocking);
  EXPECT_EQ(device, 0);
  CUDA_OK(cudaStreamDestroy(stream));
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
  Enqueue(stream, "never", [] { return cudaErrorUnknown; });
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  CUDA_OK(cudaDeviceSynchronize());
}

TEST(HostFunctions, RunInOrderAndMayNotCall) {
  const Stream stream;
  struct Seen {
    int value = 0;
    cudaError_t inside = cudaSuccess;
  } seen;
  Enqueue(stream, "set", [&seen] { return seen.value = 5, cudaSuccess; });
  CUDA_OK(cudaLaunchHostFunc(
      stream,
      [](void* data) {
        auto& in = *static_cast<Seen*>(data);
        in.value *= 2;
        in.inside = cudaDeviceSynchronize();
      },
      &seen));
  CUDA_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(seen.value, 10);
  EXPECT_EQ(seen.inside, cudaErrorNotPermitted);
}

TEST(Events, OrderStreams) {
  const Stream producer, consumer;
  const Event produced(cudaEventDisableTiming), consumed(cudaEventDisableTiming);
  DeviceArray<int> x(256), y(std::vector<int>(256, 0));
  for (int round = 0; round < 50; ++round) {
    CUDA_OK(cudaStreamWaitEvent(producer, consumed));
    CUDA_OK(Launch(producer, 1, 256, 0, "Fill", Fill, x.data(), round));
    CUDA_OK(cudaEventRecord(produced, producer));
    CUDA_OK(cudaStreamWaitEvent(consumer, produced));
    CUDA_OK(Launch(consumer, 1, 256, 0, "AddTo", AddTo, y.data(), x.data()));
    CUDA_OK(cudaEventRecord(consumed, consumer));
  }
  CUDA_OK(cudaStreamSynchronize(consumer));
  EXPECT_THAT(y.Values(), Each(49 * 50 / 2));
}

TEST(Events, AreWaitedForAsTheyWereRecordedThen) {
  const Stream first, second;
  const Event event;
  Gate gate;
  CUDA_OK(cudaEventRecord(event, first));
  CUDA_OK(cudaStreamWaitEvent(second, event));
  Enqueue(first, "hold", gate.Work());
  CUDA_OK(cudaEventRecord(event, first));  // of no concern to `second`
  CUDA_OK(cudaStreamSynchronize(second));
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  EXPECT_EQ(cudaGetLastError(), cudaErrorNotReady);
  gate.Open();
  CUDA_OK(cudaEventSynchronize(event));
  CUDA_OK(cudaEventQuery(event));
}

TEST(Events, NeverRecordedAreOver) {
  const Stream stream;
  const Event event;
  CUDA_OK(cudaEventQuery(event));
  CUDA_OK(cudaEventSynchronize(event));
  CUDA_OK(cudaStreamWaitEvent(stream, event));
}

TEST(Events, MeasureTime) {
  const Stream stream;
  const Event begin, end, untimed(cudaEventDisableTiming);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorInvalidResourceHandle);
  Gate gate;
  CUDA_OK(cudaEventRecord(begin, stream));
  Enqueue(stream, "hold", gate.Work());
  CUDA_OK(cudaEventRecord(end, stream));
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, end), cudaErrorNotReady);
  gate.Open();
  CUDA_OK(cudaEventSynchronize(end));
  CUDA_OK(cudaEventElapsedTime(&milliseconds, begin, end));
  EXPECT_GT(milliseconds, 0);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin, untimed), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
}

TEST(Events, OfAnotherDeviceAreRefused) {
  const Event event;
  CUDA_OK(cudaSetDevice(1));
  {
    const Stream stream;
    EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorInvalidResourceHandle);
    CUDA_OK(cudaStreamWaitEvent(stream, event));  // waiting across devices is allowed
  }
  CUDA_OK(cudaSetDevice(0));
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
}

TEST(Errors, OfWorkStayUntilTheDeviceIsReset) {
  CUDA_OK(cudaSetDevice(2));
  cudaStream_t stream = nullptr;
  CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  bool ran = false;
  Enqueue(stream, "fail", [] { return cudaErrorLaunchFailure; });
  Enqueue(stream, "after", [&ran] { return ran = true, cudaSuccess; });
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
  EXPECT_FALSE(ran);
  void* data = nullptr;
  EXPECT_EQ(cudaMalloc(&data, 100), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  CUDA_OK(cudaSetDevice(0));  // another device is whole
  CUDA_OK(cudaDeviceSynchronize());
  CUDA_OK(cudaSetDevice(2));
  CUDA_OK(cudaDeviceReset());
  cudaGetLastError();
  CUDA_OK(cudaDeviceSynchronize());
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidResourceHandle);
  CUDA_OK(cudaSetDevice(0));
}

TEST(Errors, HaveNamesAndWords) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  EXPECT_STREQ(cudaGetErrorName(static_cast<cudaError_t>(12345)), "unrecognized error code");
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
