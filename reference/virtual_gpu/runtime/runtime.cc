#include "reference/virtual_gpu/runtime/runtime.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/runtime/event.h"
#include "reference/virtual_gpu/runtime/faults.h"
#include "reference/virtual_gpu/runtime/graph.h"

namespace lockstep::virtual_gpu {
namespace {

constexpr std::size_t kSharedBytes = 48 << 10;

}  // namespace

ThreadState& OfThread() {
  static thread_local ThreadState state;
  return state;
}

Runtime& Runtime::Get() {
  static Runtime& runtime = *[] {
    const OwnAffairs own;
    auto* const made = new Runtime();
    ExplainFaults(*made);
    return made;
  }();
  return runtime;
}

Runtime::Runtime() : settings_(SettingsOfEnvironment()) {
  for (int ordinal = 0; ordinal < settings_.devices; ++ordinal) {
    devices_.push_back(std::make_unique<Device>(ordinal, settings_));
  }
}

Device* Runtime::Holding(const void* address) {
  for (const auto& device : devices_) {
    if (device->memory().Holds(address)) return device.get();
  }
  return nullptr;
}

std::shared_ptr<Stream> Runtime::StreamOf(cudaStream_t handle) {
  if (handle != nullptr && handle != cudaStreamLegacy) return streams.Find(handle);
  Device* const device = current();
  return device == nullptr ? nullptr : device->DefaultStream();
}

std::size_t Runtime::SharedLimit(const void* kernel) const {
  const std::lock_guard lock(limits_mutex_);
  const auto found = shared_limits_.find(kernel);
  return found == shared_limits_.end() ? kSharedBytes : found->second;
}

void Runtime::SetSharedLimit(const void* kernel, std::size_t bytes) {
  const std::lock_guard lock(limits_mutex_);
  shared_limits_[kernel] = std::max(bytes, kSharedBytes);
}

cudaError_t Refuse(cudaError_t error, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  Say("%s", text);
  return error;
}

}  // namespace lockstep::virtual_gpu
