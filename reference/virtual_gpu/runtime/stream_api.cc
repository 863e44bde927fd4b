// Streams, events, host functions.
#include <chrono>

#include "reference/virtual_gpu/runtime/event.h"
#include "reference/virtual_gpu/runtime/runtime.h"
#include "reference/virtual_gpu/runtime/submit.h"

using namespace lockstep::virtual_gpu;  // NOLINT: CUDA's names are in no namespace

namespace {

// `body` with the stream behind a handle.
template <typename Body>
cudaError_t WithStream(cudaStream_t handle, Body body) {
  return Call([&](Device&) -> cudaError_t {
    const auto stream = Runtime::Get().StreamOf(handle);
    return stream == nullptr ? cudaErrorInvalidResourceHandle : body(stream);
  });
}

template <typename Body>
cudaError_t WithEvent(cudaEvent_t handle, Body body) {
  return Call([&](Device&) -> cudaError_t {
    const auto event = Runtime::Get().events.Find(handle);
    return event == nullptr ? cudaErrorInvalidResourceHandle : body(*event);
  });
}

cudaError_t RefuseQuery(const Stream& stream) {
  Runtime& runtime = Runtime::Get();
  if (!runtime.captures.Any()) return cudaSuccess;
  const cudaError_t error = runtime.captures.RefuseSynchronise(stream);
  if (error != cudaSuccess || &stream != stream.device().DefaultStream().get()) return error;
  return runtime.captures.RefuseDefaultStream();
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return Call([&](Device& device) {
    if (stream == nullptr || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    *stream = Runtime::Get().streams.Add(device.AddStream(flags, std::clamp(priority, -5, 0)));
    return cudaSuccess;
  });
}

// Returns at once; what the stream holds still runs.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return Call([&](Device&) -> cudaError_t {
    Runtime& runtime = Runtime::Get();
    const auto stream = runtime.streams.Find(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = RefuseQuery(*stream); error != cudaSuccess) return error;
    runtime.streams.Remove(handle);
    stream->Close();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return WithStream(handle, [](const std::shared_ptr<Stream>& stream) {
    if (const cudaError_t error = RefuseQuery(*stream); error != cudaSuccess) return error;
    stream->Wait(stream->Last());
    stream->device().CloseIfIdle();
    return stream->device().error();
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return WithStream(handle, [](const std::shared_ptr<Stream>& stream) {
    if (const cudaError_t error = RefuseQuery(*stream); error != cudaSuccess) return error;
    const std::uint64_t last = stream->Last();
    if (!stream->Ended(last)) {
      stream->LetGo(last);
      return cudaErrorNotReady;
    }
    stream->Wait(last);
    return stream->device().error();
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned flags) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    const auto event = Runtime::Get().events.Find(event_handle);
    if (event == nullptr) return cudaErrorInvalidResourceHandle;
    if (flags != cudaEventWaitDefault) return cudaErrorInvalidValue;
    const auto record = event->Last();
    return record == nullptr ? cudaSuccess : SubmitWait(stream, record);
  });
}

cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    if (priority == nullptr) return cudaErrorInvalidValue;
    *priority = stream->priority();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    if (flags == nullptr) return cudaErrorInvalidValue;
    *flags = stream->flags();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* device) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    if (device == nullptr) return cudaErrorInvalidValue;
    *device = stream->device().ordinal();
    return cudaSuccess;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* user_data) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    if (function == nullptr) return cudaErrorInvalidValue;
    return Submit(stream, {.name = "cudaLaunchHostFunc", .run = [function, user_data] {
                             OfThread().in_host_function = true;
                             function(user_data);
                             OfThread().in_host_function = false;
                             return cudaSuccess;
                           }});
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return Call([&](Device& device) {
    if (event == nullptr || flags > (cudaEventBlockingSync | cudaEventDisableTiming)) return cudaErrorInvalidValue;
    *event = Runtime::Get().events.Add(std::make_shared<Event>(device.ordinal(), flags));
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return Call([&](Device&) {
    return Runtime::Get().events.Remove(event) == nullptr ? cudaErrorInvalidResourceHandle : cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event_handle, cudaStream_t handle) {
  return WithStream(handle, [&](const std::shared_ptr<Stream>& stream) {
    const auto event = Runtime::Get().events.Find(event_handle);
    if (event == nullptr || event->device != stream->device().ordinal()) return cudaErrorInvalidResourceHandle;
    return SubmitRecord(stream, *event);
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return WithEvent(handle, [](Event& event) {
    const auto record = event.Last();
    if (record == nullptr) return cudaSuccess;
    if (record->capture != nullptr) return cudaErrorCapturedEvent;
    if (!record->ended.load(std::memory_order_acquire)) {
      record->stream->LetGo(record->ticket);
      return cudaErrorNotReady;
    }
    Acquire(record->order.get());
    return record->stream->device().error();
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return WithEvent(handle, [](Event& event) {
    const auto record = event.Last();
    if (record == nullptr) return cudaSuccess;
    if (record->capture != nullptr) return cudaErrorCapturedEvent;
    record->stream->Wait(record->ticket, record->order.get());
    record->stream->device().CloseIfIdle();
    return record->stream->device().error();
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return Call([&](Device&) {
    Runtime& runtime = Runtime::Get();
    const auto first = runtime.events.Find(start), second = runtime.events.Find(end);
    if (milliseconds == nullptr) return cudaErrorInvalidValue;
    if (first == nullptr || second == nullptr || ((first->flags | second->flags) & cudaEventDisableTiming) != 0) {
      return cudaErrorInvalidResourceHandle;
    }
    const auto began = first->Last(), ended = second->Last();
    if (began == nullptr || ended == nullptr) return cudaErrorInvalidResourceHandle;
    if (began->capture != nullptr || ended->capture != nullptr) return cudaErrorCapturedEvent;
    if (!began->ended.load(std::memory_order_acquire) || !ended->ended.load(std::memory_order_acquire)) {
      return cudaErrorNotReady;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(ended->when - began->when).count();
    return cudaSuccess;
  });
}

}  // extern "C"
