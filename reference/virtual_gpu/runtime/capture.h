// Stream capture: while a stream is captured, its work becomes nodes of a graph instead of running.
//
// Another stream joins by waiting for an event that was recorded in the capture. What may not happen in a capture (a
// synchronisation, work on the default stream, a wait for what is outside) invalidates it, as in CUDA: its end then
// returns an error. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "reference/virtual_gpu/runtime/event.h"
#include "reference/virtual_gpu/runtime/graph.h"
#include "reference/virtual_gpu/runtime/stream.h"

namespace lockstep::virtual_gpu {

class Capture {
 public:
  Capture(const Stream* origin, cudaStreamCaptureMode mode);

 private:
  friend class Captures;  // which holds the lock

  struct Lane {
    const Stream* stream = nullptr;
    bool has_node = false;
    std::size_t last = 0;            // node, when has_node
    std::vector<std::size_t> after;  // what its next node must follow
  };

  Lane* LaneOf(const Stream* stream);
  std::size_t Add(const Stream* stream, const char* name, std::function<cudaError_t()> run);
  bool Joined() const;

  const Stream* const origin_;
  const cudaStreamCaptureMode mode_;
  const std::thread::id thread_ = std::this_thread::get_id();
  bool valid_ = true;
  std::vector<Lane> lanes_;
  std::vector<Node> nodes_;
};

// The captures of a process.
class Captures {
 public:
  bool Any() const { return count_.load(std::memory_order_acquire) != 0; }

  cudaError_t Begin(const Stream& stream, cudaStreamCaptureMode mode);
  cudaError_t End(const Stream& stream, std::shared_ptr<Graph>* graph);
  cudaStreamCaptureStatus StatusOf(const Stream& stream);

  // True: `stream` is captured, and the work became a node (or `error` says why not).
  bool Take(const Stream& stream, const char* name, const std::function<cudaError_t()>& run, cudaError_t* error);
  // True: `stream` is captured, and `record` now stands for a node.
  bool TakeRecord(const Stream& stream, Record& record, cudaError_t* error);
  // Whether the wait concerns a capture: then it is done, or `error` says why not.
  bool TakeWait(const Stream& stream, const std::shared_ptr<Record>& record, cudaError_t* error);

  // For a call that no capture bears: invalidates the captures that it hits and returns their error, else success.
  cudaError_t RefuseSynchronise(const Stream& stream);
  cudaError_t RefuseUnsafe(cudaStreamCaptureMode mode_of_thread);
  cudaError_t RefuseDefaultStream();

 private:
  std::shared_ptr<Capture> Of(const Stream& stream);  // mutex_ held

  std::mutex mutex_;
  std::map<const Stream*, std::shared_ptr<Capture>> of_stream_;
  std::atomic<int> count_{0};
};

}  // namespace lockstep::virtual_gpu
