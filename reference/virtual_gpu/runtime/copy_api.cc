// Copies and fills: every range is checked against what is allocated before anything moves.
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "reference/virtual_gpu/runtime/runtime.h"
#include "reference/virtual_gpu/runtime/submit.h"

using namespace lockstep::virtual_gpu;  // NOLINT: CUDA's names are in no namespace

namespace {

struct Side {
  char* data = nullptr;
  std::size_t pitch = 0;
  Device* device = nullptr;  // null: the host's
  bool pinned = false;
};

struct Copy {
  const char* call;
  Side target, source;
  std::size_t width, height;
  cudaMemcpyKind kind;

  bool empty() const { return width == 0 || height == 0; }
  std::size_t Span(const Side& side) const { return side.pitch * (height - 1) + width; }
  bool ToDevice() const { return target.device != nullptr && source.device == nullptr; }
  bool ToHost() const { return target.device == nullptr && source.device != nullptr; }
};

// Whose memory a side is; an error when it is the device's and not allocated.
cudaError_t Place(const Copy& copy, Side& side, const char* role) {
  Runtime& runtime = Runtime::Get();
  const std::size_t bytes = copy.Span(side);
  side.device = runtime.Holding(side.data);
  if (side.device == nullptr) {
    side.pinned = runtime.host_memory.Find(side.data, bytes) != nullptr;
    return side.data == nullptr ? Refuse(cudaErrorInvalidValue, "%s: the %s is null", copy.call, role) : cudaSuccess;
  }
  if (side.device->memory().Find(side.data, bytes).data != nullptr) return cudaSuccess;
  char text[256];
  side.device->memory().Describe(side.data, text, sizeof text);
  return Refuse(cudaErrorInvalidValue, "%s: the %s, %zu bytes at %p, is not within one allocation: it starts %s",
                copy.call, role, bytes, static_cast<void*>(side.data), text);
}

const char* Whose(const Side& side) { return side.device == nullptr ? "the host" : "the device"; }

cudaError_t Check(Copy& copy) {
  if (copy.kind < cudaMemcpyHostToHost || copy.kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
  if (copy.empty()) return cudaSuccess;
  if (copy.width > copy.target.pitch || copy.width > copy.source.pitch) return cudaErrorInvalidPitchValue;
  if (const cudaError_t error = Place(copy, copy.target, "target"); error != cudaSuccess) return error;
  if (const cudaError_t error = Place(copy, copy.source, "source"); error != cudaSuccess) return error;
  const bool to_device = copy.kind == cudaMemcpyHostToDevice || copy.kind == cudaMemcpyDeviceToDevice;
  const bool from_device = copy.kind == cudaMemcpyDeviceToHost || copy.kind == cudaMemcpyDeviceToDevice;
  if (copy.kind == cudaMemcpyDefault ||
      (to_device == (copy.target.device != nullptr) && from_device == (copy.source.device != nullptr))) {
    return cudaSuccess;
  }
  return Refuse(cudaErrorInvalidValue, "%s: the target %p is memory of %s and the source %p of %s, against its kind %d",
                copy.call, static_cast<void*>(copy.target.data), Whose(copy.target),
                static_cast<void*>(copy.source.data), Whose(copy.source), static_cast<int>(copy.kind));
}

// Runs on the stream's thread, or on the host's with `home` held open.
void Move(const Copy& copy, const Device& home) {
  std::optional<DeviceUse> target, source;
  if (copy.target.device != nullptr && copy.target.device != &home) target.emplace(*copy.target.device);
  if (copy.source.device != nullptr && copy.source.device != &home) source.emplace(*copy.source.device);
  if (copy.width == copy.target.pitch && copy.width == copy.source.pitch) {
    std::memmove(copy.target.data, copy.source.data, copy.width * copy.height);
    return;
  }
  for (std::size_t row = 0; row < copy.height; ++row) {
    std::memmove(copy.target.data + row * copy.target.pitch, copy.source.data + row * copy.source.pitch, copy.width);
  }
}

cudaError_t Submit(const std::shared_ptr<Stream>& stream, const Copy& copy) {
  return Submit(stream, {.name = copy.call, .run = [copy, stream = stream.get()] {
                           Move(copy, stream->device());
                           return cudaSuccess;
                         }});
}

// Host memory that is not pinned is read before the call returns, as CUDA stages it.
cudaError_t SubmitStaged(const std::shared_ptr<Stream>& stream, const Copy& copy) {
  auto staged = std::make_shared<std::vector<char>>(copy.width * copy.height);
  Copy in = copy;
  in.target = {.data = staged->data(), .pitch = copy.width};
  {
    const ProgramsAffairs programs;
    Move(in, stream->device());
  }
  Copy out = copy;
  out.source = in.target;
  return Submit(stream, {.name = copy.call, .run = [out, staged, stream = stream.get()] {
                           Move(out, stream->device());
                           return cudaSuccess;
                         }});
}

cudaError_t CopyAsync(cudaStream_t handle, Copy copy) {
  return Call([&](Device&) -> cudaError_t {
    const auto stream = Runtime::Get().StreamOf(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = Check(copy); error != cudaSuccess || copy.empty()) return error;
    const bool staged = copy.ToDevice() && !copy.source.pinned, waits = copy.ToHost() && !copy.target.pinned;
    if (Runtime::Get().captures.Any() && (staged || waits)) {
      if (const cudaError_t error = Runtime::Get().captures.RefuseSynchronise(*stream); error != cudaSuccess) {
        return Refuse(error, "%s: a captured copy needs pinned host memory", copy.call);
      }
    }
    if (staged) return SubmitStaged(stream, copy);
    const cudaError_t error = Submit(stream, copy);
    if (error != cudaSuccess || !waits) return error;
    stream->Wait(stream->Last());
    stream->device().CloseIfIdle();
    return stream->device().error();
  });
}

cudaError_t RefuseInCapture() {
  Captures& captures = Runtime::Get().captures;
  const cudaError_t error = captures.RefuseDefaultStream();
  return error != cudaSuccess ? error : captures.RefuseUnsafe(OfThread().capture_mode);
}

// In the default stream's order; the host waits unless both sides are the device's.
cudaError_t CopyNow(Copy copy) {
  return Call([&](Device& device) -> cudaError_t {
    if (const cudaError_t error = RefuseInCapture(); error != cudaSuccess) return error;
    if (const cudaError_t error = Check(copy); error != cudaSuccess || copy.empty()) return error;
    if (copy.target.device != nullptr && copy.source.device != nullptr) return Submit(device.DefaultStream(), copy);
    device.SynchronizeDefault();
    if (device.error() != cudaSuccess) return device.error();
    const DeviceUse use(device);
    const ProgramsAffairs programs;
    Move(copy, device);
    return cudaSuccess;
  });
}

// `run` fills; the range must be the device's, or pinned.
cudaError_t Fill(const char* call, cudaStream_t handle, void* data, std::size_t pitch, int value, std::size_t width,
                 std::size_t height) {
  return Call([&](Device&) -> cudaError_t {
    const auto stream = Runtime::Get().StreamOf(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (width == 0 || height == 0) return cudaSuccess;
    if (width > pitch) return cudaErrorInvalidPitchValue;
    Copy copy{call, {.data = static_cast<char*>(data), .pitch = pitch}, {}, width, height, cudaMemcpyDefault};
    if (const cudaError_t error = Place(copy, copy.target, "target"); error != cudaSuccess) return error;
    if (copy.target.device == nullptr && !copy.target.pinned) {
      return Refuse(cudaErrorInvalidValue, "%s: %p is not the device's memory", call, data);
    }
    return Submit(stream, {.name = call, .run = [copy, value, stream = stream.get()] {
                             std::optional<DeviceUse> use;
                             Device* const device = copy.target.device;
                             if (device != nullptr && device != &stream->device()) use.emplace(*device);
                             for (std::size_t row = 0; row < copy.height; ++row) {
                               std::memset(copy.target.data + row * copy.target.pitch, value, copy.width);
                             }
                             return cudaSuccess;
                           }});
  });
}

Copy Flat(const char* call, void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind) {
  return {call,
          {.data = static_cast<char*>(target), .pitch = bytes},
          {.data = static_cast<char*>(const_cast<void*>(source)), .pitch = bytes},
          bytes,
          1,
          kind};
}

Copy Pitched(const char* call, void* target, std::size_t target_pitch, const void* source, std::size_t source_pitch,
             std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  return {call,
          {.data = static_cast<char*>(target), .pitch = target_pitch},
          {.data = static_cast<char*>(const_cast<void*>(source)), .pitch = source_pitch},
          width,
          height,
          kind};
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpy(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind) {
  return CopyNow(Flat("cudaMemcpy", target, source, bytes, kind));
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return CopyAsync(stream, Flat("cudaMemcpyAsync", target, source, bytes, kind));
}

cudaError_t cudaMemcpy2D(void* target, std::size_t target_pitch, const void* source, std::size_t source_pitch,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  return CopyNow(Pitched("cudaMemcpy2D", target, target_pitch, source, source_pitch, width, height, kind));
}

cudaError_t cudaMemcpy2DAsync(void* target, std::size_t target_pitch, const void* source, std::size_t source_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  return CopyAsync(stream,
                   Pitched("cudaMemcpy2DAsync", target, target_pitch, source, source_pitch, width, height, kind));
}

cudaError_t cudaMemcpyPeerAsync(void* target, int target_device, const void* source, int source_device,
                                std::size_t bytes, cudaStream_t stream) {
  Runtime& runtime = Runtime::Get();
  if (bytes != 0 && (runtime.device(target_device) == nullptr || runtime.device(source_device) == nullptr)) {
    return Call([](Device&) { return cudaErrorInvalidDevice; });
  }
  if (bytes != 0 && (runtime.Holding(target) != runtime.device(target_device) ||
                     runtime.Holding(source) != runtime.device(source_device))) {
    return Call([](Device&) { return cudaErrorInvalidValue; });
  }
  return CopyAsync(stream, Flat("cudaMemcpyPeerAsync", target, source, bytes, cudaMemcpyDeviceToDevice));
}

cudaError_t cudaMemset(void* data, int value, std::size_t bytes) {
  return Fill("cudaMemset", nullptr, data, bytes, value, bytes, 1);
}

cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t stream) {
  return Fill("cudaMemsetAsync", stream, data, bytes, value, bytes, 1);
}

cudaError_t cudaMemset2DAsync(void* data, std::size_t pitch, int value, std::size_t width, std::size_t height,
                              cudaStream_t stream) {
  return Fill("cudaMemset2DAsync", stream, data, pitch, value, width, height);
}

}  // extern "C"
