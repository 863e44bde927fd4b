// Capture and graphs: what a launch runs, in which order, and what a capture does not bear.
#include <cuda_runtime.h>
#include <gmock/gmock.h>

#include "reference/virtual_gpu/runtime/enqueue.h"
#include "suites/virtual_gpu/device_array.h"

namespace lockstep::suites::virtual_gpu {
namespace {

using lockstep::virtual_gpu::Enqueue;
using lockstep::virtual_gpu::Launch;
using testing::Each;

__global__ void Times(int* x, int factor) { x[threadIdx.x] *= factor; }
__global__ void Plus(int* x, const int* y) { x[threadIdx.x] += y[threadIdx.x]; }

class Graphs : public testing::Test {
 protected:
  void SetUp() override {
    CUDA_OK(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    CUDA_OK(cudaStreamCreateWithFlags(&other_, cudaStreamNonBlocking));
    CUDA_OK(cudaEventCreateWithFlags(&fork_, cudaEventDisableTiming));
    CUDA_OK(cudaEventCreateWithFlags(&join_, cudaEventDisableTiming));
  }
  void TearDown() override {
    CUDA_OK(cudaStreamDestroy(stream_));
    CUDA_OK(cudaStreamDestroy(other_));
    CUDA_OK(cudaEventDestroy(fork_));
    CUDA_OK(cudaEventDestroy(join_));
    cudaGetLastError();
  }
  // Ends the capture, which was invalidated by `by`.
  void ExpectInvalidated(cudaError_t got, cudaError_t by) {
    EXPECT_EQ(got, by);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    CUDA_OK(cudaStreamIsCapturing(stream_, &status));
    EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    CUDA_OK(cudaStreamSynchronize(stream_));
  }

  cudaStream_t stream_ = nullptr, other_ = nullptr;
  cudaEvent_t fork_ = nullptr, join_ = nullptr;
};

TEST_F(Graphs, RunNothingWhileCapturedAndAllAtEveryLaunch) {
  DeviceArray<int> x(std::vector<int>(32, 1));
  int counted = 0;
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  CUDA_OK(Launch(stream_, 1, 32, 0, "Times", Times, x.data(), 3));
  Enqueue(stream_, "count", [&counted] { return ++counted, cudaSuccess; });
  cudaGraph_t graph = nullptr;
  CUDA_OK(cudaStreamEndCapture(stream_, &graph));
  CUDA_OK(cudaStreamSynchronize(stream_));
  EXPECT_THAT(x.Values(), Each(1));
  std::size_t nodes = 0;
  CUDA_OK(cudaGraphGetNodes(graph, nullptr, &nodes));
  EXPECT_EQ(nodes, 2u);
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph));
  CUDA_OK(cudaGraphDestroy(graph));
  for (int launch = 0; launch < 3; ++launch) CUDA_OK(cudaGraphLaunch(executable, stream_));
  CUDA_OK(cudaStreamSynchronize(stream_));
  EXPECT_THAT(x.Values(), Each(27));
  EXPECT_EQ(counted, 3);
  CUDA_OK(cudaGraphExecDestroy(executable));
  EXPECT_EQ(cudaGraphLaunch(executable, stream_), cudaErrorInvalidValue);
}

TEST_F(Graphs, KeepTheOrderOfForkedStreams) {
  DeviceArray<int> x(std::vector<int>(32, 1)), y(std::vector<int>(32, 1));
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
  CUDA_OK(Launch(stream_, 1, 32, 0, "Times", Times, x.data(), 2));
  CUDA_OK(cudaEventRecord(fork_, stream_));
  CUDA_OK(cudaStreamWaitEvent(other_, fork_));
  CUDA_OK(Launch(other_, 1, 32, 0, "Plus", Plus, y.data(), x.data()));
  CUDA_OK(cudaEventRecord(join_, other_));
  CUDA_OK(cudaStreamWaitEvent(stream_, join_));
  CUDA_OK(Launch(stream_, 1, 32, 0, "Plus", Plus, x.data(), y.data()));
  cudaGraph_t graph = nullptr;
  CUDA_OK(cudaStreamEndCapture(stream_, &graph));
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusActive;
  CUDA_OK(cudaStreamIsCapturing(other_, &status));
  EXPECT_EQ(status, cudaStreamCaptureStatusNone);
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph));
  CUDA_OK(cudaGraphUpload(executable, stream_));
  int expected_x = 1, expected_y = 1;
  for (int launch = 0; launch < 10; ++launch) {
    CUDA_OK(
        cudaGraphLaunch(executable, launch % 2 == 0 ? stream_ : other_));  // one launch follows the other all the same
    expected_x *= 2;
    expected_y += expected_x;
    expected_x += expected_y;
  }
  EXPECT_THAT(x.Values(), Each(expected_x));
  EXPECT_THAT(y.Values(), Each(expected_y));
  CUDA_OK(cudaGraphExecDestroy(executable));
  CUDA_OK(cudaGraphDestroy(graph));
}

TEST_F(Graphs, TakeCopiesOfPinnedMemoryOnly) {
  DeviceArray<int> x(std::vector<int>(32, 1));
  int* pinned = nullptr;
  CUDA_OK(cudaMallocHost(&pinned, 128));
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
  CUDA_OK(cudaMemsetAsync(x.data(), 0, 64, stream_));
  CUDA_OK(cudaMemcpyAsync(pinned, x.data(), 128, cudaMemcpyDeviceToHost, stream_));
  cudaGraph_t graph = nullptr;
  CUDA_OK(cudaStreamEndCapture(stream_, &graph));
  cudaGraphExec_t executable = nullptr;
  CUDA_OK(cudaGraphInstantiate(&executable, graph));
  CUDA_OK(cudaGraphLaunch(executable, stream_));
  CUDA_OK(cudaStreamSynchronize(stream_));
  EXPECT_EQ(pinned[0], 0);
  EXPECT_EQ(pinned[31], 1);
  CUDA_OK(cudaGraphExecDestroy(executable));
  CUDA_OK(cudaGraphDestroy(graph));
  CUDA_OK(cudaFreeHost(pinned));

  std::vector<int> pageable(32);
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
  ExpectInvalidated(cudaMemcpyAsync(pageable.data(), x.data(), 128, cudaMemcpyDeviceToHost, stream_),
                    cudaErrorStreamCaptureUnsupported);
}

TEST_F(Graphs, AreNotMadeOfStreamsThatDoNotJoin) {
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  CUDA_OK(cudaEventRecord(fork_, stream_));
  CUDA_OK(cudaStreamWaitEvent(other_, fork_));
  Enqueue(other_, "lost", [] { return cudaSuccess; });
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureUnjoined);
}

TEST_F(Graphs, DoNotBearASynchronisation) {
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  ExpectInvalidated(cudaStreamSynchronize(stream_), cudaErrorStreamCaptureUnsupported);
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
  ExpectInvalidated(cudaDeviceSynchronize(), cudaErrorStreamCaptureUnsupported);
}

TEST_F(Graphs, DoNotBearAnAllocationUnlessRelaxed) {
  void* data = nullptr;
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
  ExpectInvalidated(cudaMalloc(&data, 100), cudaErrorStreamCaptureUnsupported);
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal));
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  CUDA_OK(cudaThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(mode, cudaStreamCaptureModeGlobal);
  CUDA_OK(cudaMalloc(&data, 100));
  CUDA_OK(cudaThreadExchangeStreamCaptureMode(&mode));
  cudaGraph_t graph = nullptr;
  CUDA_OK(cudaStreamEndCapture(stream_, &graph));
  CUDA_OK(cudaGraphDestroy(graph));
  CUDA_OK(cudaFree(data));
}

TEST_F(Graphs, DoNotWaitForWhatIsOutside) {
  CUDA_OK(cudaEventRecord(fork_, other_));
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  ExpectInvalidated(cudaStreamWaitEvent(stream_, fork_), cudaErrorStreamCaptureIsolation);
}

TEST_F(Graphs, LeaveCapturedEventsToTheCapture) {
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  CUDA_OK(cudaEventRecord(fork_, stream_));
  EXPECT_EQ(cudaEventSynchronize(fork_), cudaErrorCapturedEvent);
  cudaGraph_t graph = nullptr;
  CUDA_OK(cudaStreamEndCapture(stream_, &graph));
  EXPECT_EQ(cudaStreamWaitEvent(other_, fork_), cudaErrorCapturedEvent);
  CUDA_OK(cudaGraphDestroy(graph));
}

TEST_F(Graphs, KeepTheDefaultStreamOut) {
  DeviceArray<int> x(32);
  cudaStream_t blocking = nullptr;
  CUDA_OK(cudaStreamCreate(&blocking));
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
  CUDA_OK(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed));
  EXPECT_EQ(cudaMemsetAsync(x.data(), 0, 4), cudaErrorStreamCaptureImplicit);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(blocking, &graph), cudaErrorStreamCaptureInvalidated);
  CUDA_OK(cudaStreamDestroy(blocking));
}

TEST_F(Graphs, EndWhereTheyBegan) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorIllegalState);
  CUDA_OK(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
  EXPECT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaErrorIllegalState);
  CUDA_OK(cudaStreamEndCapture(stream_, &graph));
  CUDA_OK(cudaGraphDestroy(graph));
}

}  // namespace
}  // namespace lockstep::suites::virtual_gpu
