// Allocation, on the device and pinned on the host, and what a pointer points to.
#include "reference/virtual_gpu/runtime/runtime.h"

using namespace lockstep::virtual_gpu;  // NOLINT: CUDA's names are in no namespace

namespace {

cudaError_t RefuseInCapture() { return Runtime::Get().captures.RefuseUnsafe(OfThread().capture_mode); }

cudaError_t AllocateHost(void** data, std::size_t bytes) {
  if (data == nullptr) return cudaErrorInvalidValue;
  if (const cudaError_t error = RefuseInCapture(); error != cudaSuccess) return error;
  *data = bytes == 0 ? nullptr : Runtime::Get().host_memory.Allocate(bytes);
  return *data == nullptr && bytes != 0 ? cudaErrorMemoryAllocation : cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  return Call([&](Device& device) {
    if (data == nullptr) return cudaErrorInvalidValue;
    if (const cudaError_t error = RefuseInCapture(); error != cudaSuccess) return error;
    *data = nullptr;
    if (bytes == 0) return cudaSuccess;
    const DeviceUse use(device);
    *data = device.memory().Allocate(bytes);
    return *data == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

// As CUDA does, waits for all work of the device, which may use the memory.
cudaError_t cudaFree(void* data) {
  return Call([&](Device& current) {
    if (data == nullptr) return cudaSuccess;
    if (const cudaError_t error = RefuseInCapture(); error != cudaSuccess) return error;
    Device* const device = Runtime::Get().Holding(data);
    if (device != nullptr) device->Synchronize();
    if (device != nullptr && device->error() != cudaSuccess) return device->error();
    const DeviceUse use(device == nullptr ? current : *device);
    if (device != nullptr && device->memory().Free(data)) return cudaSuccess;
    return Refuse(cudaErrorInvalidValue, "cudaFree: %p is not the start of an allocation", data);
  });
}

cudaError_t cudaMallocHost(void** data, std::size_t bytes) {
  return Call([&](Device&) { return AllocateHost(data, bytes); });
}

cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned flags) {
  return Call([&](Device&) {
    constexpr unsigned kKnown = cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
    return (flags & ~kKnown) != 0 ? cudaErrorInvalidValue : AllocateHost(data, bytes);
  });
}

cudaError_t cudaFreeHost(void* data) {
  return Call([&](Device& device) {
    if (data == nullptr) return cudaSuccess;
    if (const cudaError_t error = RefuseInCapture(); error != cudaSuccess) return error;
    device.Synchronize();
    if (Runtime::Get().host_memory.Free(data)) return cudaSuccess;
    return Refuse(cudaErrorInvalidValue, "cudaFreeHost: %p was not made by cudaMallocHost", data);
  });
}

cudaError_t cudaHostRegister(void* data, std::size_t bytes, unsigned flags) {
  return Call([&](Device&) {
    if (data == nullptr || bytes == 0 || flags > (cudaHostRegisterPortable | cudaHostRegisterMapped)) {
      return cudaErrorInvalidValue;
    }
    if (Runtime::Get().Holding(data) != nullptr) return cudaErrorInvalidValue;
    return Runtime::Get().host_memory.Register(data, bytes) ? cudaSuccess : cudaErrorHostMemoryAlreadyRegistered;
  });
}

cudaError_t cudaHostUnregister(void* data) {
  return Call([&](Device& device) {
    device.Synchronize();
    return Runtime::Get().host_memory.Unregister(data) ? cudaSuccess : cudaErrorHostMemoryNotRegistered;
  });
}

cudaError_t cudaHostGetDevicePointer(void** device_data, void* host_data, unsigned flags) {
  return Call([&](Device&) {
    if (device_data == nullptr || flags != 0) return cudaErrorInvalidValue;
    if (Runtime::Get().host_memory.Find(host_data, 0) == nullptr) return cudaErrorInvalidValue;
    *device_data = host_data;
    return cudaSuccess;
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  return Call([&](Device& device) {
    const std::size_t total = device.memory().capacity();
    if (free_bytes != nullptr) *free_bytes = total - device.memory().used();
    if (total_bytes != nullptr) *total_bytes = total;
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  return Call([&](Device& current) {
    if (attributes == nullptr) return cudaErrorInvalidValue;
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = current.ordinal();
    auto* const pointer = const_cast<void*>(data);
    if (Device* const device = Runtime::Get().Holding(data); device != nullptr) {
      if (device->memory().Find(data, 1).data == nullptr) return cudaErrorInvalidValue;
      attributes->type = cudaMemoryTypeDevice;
      attributes->device = device->ordinal();
      attributes->devicePointer = pointer;
    } else if (Runtime::Get().host_memory.Find(data, 1) != nullptr) {
      attributes->type = cudaMemoryTypeHost;
      attributes->devicePointer = attributes->hostPointer = pointer;
    } else {
      attributes->hostPointer = pointer;
    }
    return cudaSuccess;
  });
}

}  // extern "C"
