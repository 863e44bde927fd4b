// The process's virtual GPUs: devices, what the program's handles stand for, and what each OS thread is at.
//
// CUDA's interface has one such state in every process, so here is the one object that is never destroyed: streams may
// still run when the program's own objects go. Made at the first call, when the environment is read.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reference/virtual_gpu/engine/execution.h"
#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/engine/sanitizers.h"
#include "reference/virtual_gpu/runtime/capture.h"
#include "reference/virtual_gpu/runtime/device.h"
#include "reference/virtual_gpu/runtime/host_memory.h"
#include "reference/virtual_gpu/runtime/settings.h"

namespace lockstep::virtual_gpu {

struct Event;
class Graph;
class GraphExecutable;

// Objects by the handles that the program holds; a handle that is not (or no longer) valid finds nothing.
template <typename Handle, typename Object>
class Handles {
 public:
  Handle Add(std::shared_ptr<Object> object) {
    const auto handle = reinterpret_cast<Handle>(object.get());
    const std::lock_guard lock(mutex_);
    objects_.emplace(handle, std::move(object));
    return handle;
  }
  std::shared_ptr<Object> Find(Handle handle) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  std::shared_ptr<Object> Remove(Handle handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    if (found == objects_.end()) return nullptr;
    auto object = std::move(found->second);
    objects_.erase(found);
    return object;
  }
  template <typename Predicate>
  void RemoveIf(Predicate predicate) {
    const std::lock_guard lock(mutex_);
    std::erase_if(objects_, [&](const auto& entry) { return predicate(*entry.second); });
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<Handle, std::shared_ptr<Object>> objects_;
};

// What the calling OS thread is at.
struct ThreadState {
  int device = 0;
  cudaError_t last_error = cudaSuccess;
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;
  bool in_host_function = false;  // of cudaLaunchHostFunc, where CUDA forbids calls
};
ThreadState& OfThread();

class Runtime {
 public:
  static Runtime& Get();

  const Settings& settings() const { return settings_; }
  int device_count() const { return static_cast<int>(devices_.size()); }
  Device* device(int ordinal) { return ordinal >= 0 && ordinal < device_count() ? devices_[ordinal].get() : nullptr; }
  Device* current() { return device(OfThread().device); }
  Device* Holding(const void* address);  // the device whose arena holds it, or null; lock-free
  // The stream behind a handle: null and cudaStreamLegacy are the current device's default stream. Null: not valid.
  std::shared_ptr<Stream> StreamOf(cudaStream_t handle);

  HostMemory host_memory;
  Captures captures;
  Handles<cudaStream_t, Stream> streams;
  Handles<cudaEvent_t, Event> events;
  Handles<cudaGraph_t, Graph> graphs;
  Handles<cudaGraphExec_t, GraphExecutable> executables;

  // Dynamic shared memory that a kernel may have: 48 KiB until cudaFuncSetAttribute says more.
  std::size_t SharedLimit(const void* kernel) const;
  void SetSharedLimit(const void* kernel, std::size_t bytes);

 private:
  Runtime();

  const Settings settings_;
  std::vector<std::unique_ptr<Device>> devices_;
  mutable std::mutex limits_mutex_;
  std::unordered_map<const void*, std::size_t> shared_limits_;
};

// The frame of every call: the device's first error, or cudaErrorNotPermitted in a host function, or what `body` (given
// the current device) returns; an error becomes the thread's last one.
// From a kernel thread there is no such call: nvcc refuses it, and here the process ends, with the thread named.
template <typename Body>
cudaError_t Call(Body body) {
  if (InKernel()) DieStanding("a kernel calls the runtime's host side, which no GPU can");
  const OwnAffairs own;
  ThreadState& thread = OfThread();
  cudaError_t error = cudaErrorNoDevice;
  if (thread.in_host_function) {
    error = cudaErrorNotPermitted;
  } else if (Device* const device = Runtime::Get().current()) {
    error = device->error();
    if (error == cudaSuccess) error = body(*device);
  }
  if (error != cudaSuccess) thread.last_error = error;
  return error;
}

// An error of the program that deserves words beside its code: "lockstep virtual GPU: " and the text.
__attribute__((format(printf, 2, 3))) cudaError_t Refuse(cudaError_t error, const char* format, ...);

}  // namespace lockstep::virtual_gpu
