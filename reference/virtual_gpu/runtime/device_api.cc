// Devices: which there are, what they say of themselves, peers, versions.
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "reference/virtual_gpu/engine/shared_memory.h"
#include "reference/virtual_gpu/runtime/launch.h"
#include "reference/virtual_gpu/runtime/runtime.h"

namespace lockstep::virtual_gpu {
namespace {

// A small device of compute capability 9.0: few multiprocessors, so that grids sized by them stay small.
constexpr int kMultiprocessors = 8, kThreadsOfMultiprocessor = 2048, kBlocksOfMultiprocessor = 32;
constexpr int kSharedOfMultiprocessor = 228 << 10, kReservedShared = 1 << 10, kSharedOfBlock = 48 << 10;

std::string Processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  utsname system{};
  return uname(&system) == 0 ? system.machine : "unknown processor";
}

cudaDeviceProp Properties(const Device& device) {
  cudaDeviceProp p{};
  std::snprintf(p.name, sizeof p.name, "virtual GPU (%s)", Processor().c_str());
  std::snprintf(p.uuid.bytes, sizeof p.uuid.bytes, "virtual GPU %d", device.ordinal());
  p.totalGlobalMem = device.memory().capacity();
  p.sharedMemPerBlock = kSharedOfBlock;
  p.sharedMemPerBlockOptin = kMaxSharedBytes;
  p.sharedMemPerMultiprocessor = kSharedOfMultiprocessor;
  p.reservedSharedMemPerBlock = kReservedShared;
  p.regsPerBlock = p.regsPerMultiprocessor = 65536;
  p.warpSize = 32;
  p.memPitch = 0x7fffffff;
  p.maxThreadsPerBlock = static_cast<int>(kMaxBlockThreads);
  p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
  p.maxThreadsDim[2] = 64;
  p.maxGridSize[0] = 0x7fffffff;
  p.maxGridSize[1] = p.maxGridSize[2] = 65535;
  p.major = 9;
  p.multiProcessorCount = kMultiprocessors;
  p.maxThreadsPerMultiProcessor = kThreadsOfMultiprocessor;
  p.maxBlocksPerMultiProcessor = kBlocksOfMultiprocessor;
  p.canMapHostMemory = p.concurrentKernels = p.unifiedAddressing = p.streamPrioritiesSupported = 1;
  p.asyncEngineCount = 2;
  p.l2CacheSize = 1 << 20;
  p.pciBusID = device.ordinal() + 1;
  return p;
}

// NOLINTNEXTLINE(readability-function-size): a table
cudaError_t Attribute(const Device& device, cudaDeviceAttr attribute, int* value) {
  const cudaDeviceProp p = Properties(device);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxBlockDimX:
      *value = p.maxThreadsDim[0];
      break;
    case cudaDevAttrMaxBlockDimY:
      *value = p.maxThreadsDim[1];
      break;
    case cudaDevAttrMaxBlockDimZ:
      *value = p.maxThreadsDim[2];
      break;
    case cudaDevAttrMaxGridDimX:
      *value = p.maxGridSize[0];
      break;
    case cudaDevAttrMaxGridDimY:
      *value = p.maxGridSize[1];
      break;
    case cudaDevAttrMaxGridDimZ:
      *value = p.maxGridSize[2];
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = kSharedOfBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(kMaxSharedBytes);
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = kSharedOfMultiprocessor;
      break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      *value = kReservedShared;
      break;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      *value = p.maxBlocksPerMultiProcessor;
      break;
    case cudaDevAttrCanMapHostMemory:
      *value = p.canMapHostMemory;
      break;
    case cudaDevAttrConcurrentKernels:
      *value = p.concurrentKernels;
      break;
    case cudaDevAttrUnifiedAddressing:
      *value = p.unifiedAddressing;
      break;
    case cudaDevAttrAsyncEngineCount:
      *value = p.asyncEngineCount;
      break;
    case cudaDevAttrPciBusId:
      *value = p.pciBusID;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
    case cudaDevAttrIntegrated:
    case cudaDevAttrPciDeviceId:
    case cudaDevAttrPciDomainId:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrMemoryPoolsSupported:
      *value = 0;
      break;
    default:
      return Refuse(cudaErrorInvalidValue, "cudaDeviceGetAttribute: attribute %d is not covered", attribute);
  }
  return cudaSuccess;
}

}  // namespace

cudaError_t Occupancy(int* blocks, int block_threads, std::size_t shared_bytes) {
  return Call([&](Device&) -> cudaError_t {
    if (blocks == nullptr || block_threads <= 0 || block_threads > static_cast<int>(kMaxBlockThreads)) {
      return cudaErrorInvalidValue;
    }
    const int threads = (block_threads + 31) / 32 * 32;
    const auto shared = static_cast<int>(std::min(shared_bytes, kMaxSharedBytes)) + kReservedShared;
    *blocks =
        shared_bytes > kMaxSharedBytes
            ? 0
            : std::min({kBlocksOfMultiprocessor, kThreadsOfMultiprocessor / threads, kSharedOfMultiprocessor / shared});
    return cudaSuccess;
  });
}

}  // namespace lockstep::virtual_gpu

using lockstep::virtual_gpu::Call;
using lockstep::virtual_gpu::Device;
using lockstep::virtual_gpu::OfThread;
using lockstep::virtual_gpu::OwnAffairs;
using lockstep::virtual_gpu::Runtime;

namespace {

// For calls that a broken device still answers: an error of theirs is the thread's last one.
cudaError_t Remember(cudaError_t error) {
  if (error != cudaSuccess) OfThread().last_error = error;
  return error;
}

}  // namespace

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  const OwnAffairs own;
  if (count == nullptr) return Remember(cudaErrorInvalidValue);
  *count = Runtime::Get().device_count();
  return Remember(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}

cudaError_t cudaSetDevice(int device) {
  const OwnAffairs own;
  if (Runtime::Get().device(device) == nullptr) return Remember(cudaErrorInvalidDevice);
  OfThread().device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  const OwnAffairs own;
  if (device == nullptr) return Remember(cudaErrorInvalidValue);
  if (Runtime::Get().current() == nullptr) return Remember(cudaErrorNoDevice);
  *device = OfThread().device;
  return cudaSuccess;
}

cudaError_t cudaSetDeviceFlags(unsigned flags) {
  return Call(
      [&](Device&) { return flags > 15 ? cudaErrorInvalidValue : cudaSuccess; });  // a waiting host always sleeps
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const OwnAffairs own;
  const Device* const found = Runtime::Get().device(device);
  if (properties == nullptr) return Remember(cudaErrorInvalidValue);
  if (found == nullptr) return Remember(cudaErrorInvalidDevice);
  *properties = lockstep::virtual_gpu::Properties(*found);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  const OwnAffairs own;
  const Device* const found = Runtime::Get().device(device);
  if (value == nullptr) return Remember(cudaErrorInvalidValue);
  if (found == nullptr) return Remember(cudaErrorInvalidDevice);
  return Remember(lockstep::virtual_gpu::Attribute(*found, attribute, value));
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  const OwnAffairs own;
  if (Runtime::Get().device(device) == nullptr) return Remember(cudaErrorInvalidDevice);
  if (id == nullptr || length < 13) return Remember(cudaErrorInvalidValue);
  std::snprintf(id, static_cast<std::size_t>(length), "0000:%02x:00.0", static_cast<unsigned>(device + 1) & 0xffu);
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can_access, int device, int peer) {
  const OwnAffairs own;
  Runtime& runtime = Runtime::Get();
  if (can_access == nullptr) return Remember(cudaErrorInvalidValue);
  if (runtime.device(device) == nullptr || runtime.device(peer) == nullptr) return Remember(cudaErrorInvalidDevice);
  *can_access = device != peer ? 1 : 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return Call([&](Device& device) {
    if (flags != 0) return cudaErrorInvalidValue;
    if (Runtime::Get().device(peer) == nullptr || peer == device.ordinal()) return cudaErrorInvalidDevice;
    return device.SetReach(peer, true) ? cudaSuccess : cudaErrorPeerAccessAlreadyEnabled;
  });
}

cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return Call([&](Device& device) {
    if (Runtime::Get().device(peer) == nullptr) return cudaErrorInvalidDevice;
    return device.SetReach(peer, false) ? cudaSuccess : cudaErrorPeerAccessNotEnabled;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return Call([](Device& device) {
    if (const cudaError_t error = Runtime::Get().captures.RefuseUnsafe(OfThread().capture_mode); error != cudaSuccess) {
      return error;
    }
    device.Synchronize();
    return device.error();
  });
}

cudaError_t cudaDeviceReset() {
  const OwnAffairs own;
  Runtime& runtime = Runtime::Get();
  Device* const device = runtime.current();
  if (device == nullptr) return Remember(cudaErrorNoDevice);
  device->Reset();
  runtime.streams.RemoveIf([&](const auto& stream) { return &stream.device() == device; });
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return Call([&](Device&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return cudaSuccess;
  });
}

cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return Remember(cudaErrorInvalidValue);
  *version = CUDART_VERSION;
  return cudaSuccess;
}

}  // extern "C"
