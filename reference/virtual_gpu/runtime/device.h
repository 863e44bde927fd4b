// A virtual device: its memory, its streams, its first error, and whether it is idle.
//
// While no stream runs work, the device's memory is closed, so that a host that touches it faults. Who touches it on
// purpose (a stream's thread, an allocation) holds it open between Begin and End. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "reference/virtual_gpu/runtime/device_memory.h"
#include "reference/virtual_gpu/runtime/settings.h"
#include "reference/virtual_gpu/runtime/stream.h"

namespace lockstep::virtual_gpu {

class Device {
 public:
  Device(int ordinal, const Settings& settings);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int ordinal() const { return ordinal_; }
  DeviceMemory& memory() { return memory_; }
  const DeviceMemory& memory() const { return memory_; }

  // The first asynchronous error: every call returns it until the device is reset.
  cudaError_t error() const { return error_.load(std::memory_order_acquire); }
  void Fail(cudaError_t error);

  void Begin();  // opens the memory
  void End();    // leaves it open: CloseIfIdle() closes it
  void CloseIfIdle();
  void Added() { pending_.fetch_add(1, std::memory_order_relaxed); }
  void Removed() { pending_.fetch_sub(1, std::memory_order_relaxed); }

  std::shared_ptr<Stream> AddStream(unsigned flags, int priority);
  const std::shared_ptr<Stream>& DefaultStream() const { return default_stream_; }
  std::vector<std::shared_ptr<Stream>> Streams();  // the default stream first; closed ones until they are over
  // What work on `stream` must follow beyond what is before it there: the default stream and blocking streams wait for
  // each other.
  std::vector<Dependency> ImplicitlyAfter(const Stream& stream) const;
  // Lets go of the work that some streams hold, as the seed picks (random mode).
  void LetSomeGo();

  void Synchronize();         // all streams; then looks at the gaps between allocations and closes the memory
  void SynchronizeDefault();  // the default stream and those that it waits for
  void Reset();               // waits, frees memory and streams, forgets the error

  bool MayReach(int peer) const;
  bool SetReach(int peer, bool reach);  // false: it was so already

 private:
  void WaitForAll(const std::vector<std::shared_ptr<Stream>>& streams);

  const int ordinal_;
  const Settings settings_;
  DeviceMemory memory_;
  std::atomic<cudaError_t> error_{cudaSuccess};
  std::atomic<long> pending_{0};  // work enqueued and not ended

  std::mutex use_mutex_;
  int users_ = 0;
  bool closed_ = false;

  mutable std::mutex streams_mutex_;
  std::shared_ptr<Stream> default_stream_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::set<int> peers_;
  std::minstd_rand random_;
};

// Holds a device's memory open.
class DeviceUse {
 public:
  explicit DeviceUse(Device& device) : device_(device) { device_.Begin(); }
  ~DeviceUse() {
    device_.End();
    device_.CloseIfIdle();
  }
  DeviceUse(const DeviceUse&) = delete;
  DeviceUse& operator=(const DeviceUse&) = delete;

 private:
  Device& device_;
};

}  // namespace lockstep::virtual_gpu
