#include "reference/virtual_gpu/runtime/launch.h"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "reference/virtual_gpu/engine/grid_runner.h"
#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/runtime/runtime.h"
#include "reference/virtual_gpu/runtime/submit.h"

namespace lockstep::virtual_gpu {
namespace {

// What a pointer of the kernel may point to: memory of its device, of a peer that it may reach, or pinned on the host;
// just past the end is an empty buffer's. `peers` gets the devices to hold open. False: it said what is wrong.
bool MayUse(const char* kernel, const PointerArgument& argument, Device& device, std::vector<Device*>& peers) {
  if (argument.address == nullptr) return true;
  Runtime& runtime = Runtime::Get();
  Device* const holder = runtime.Holding(argument.address);
  if (holder == nullptr) {
    if (runtime.host_memory.Find(argument.address, 0) != nullptr) return true;
    Say("kernel %s: argument %d, %p, is host memory that is not pinned", kernel, argument.index, argument.address);
    return false;
  }
  if (holder->memory().Find(argument.address, 0).data == nullptr) {
    char text[256];
    holder->memory().Describe(argument.address, text, sizeof text);
    Say("kernel %s: argument %d, %p, is %s", kernel, argument.index, argument.address, text);
    return false;
  }
  if (holder == &device) return true;
  if (!device.MayReach(holder->ordinal())) {
    Say("kernel %s: argument %d, %p, is memory of device %d, which device %d may not reach "
        "(cudaDeviceEnablePeerAccess)",
        kernel, argument.index, argument.address, holder->ordinal(), device.ordinal());
    return false;
  }
  peers.push_back(holder);
  return true;
}

// On the stream's thread.
cudaError_t RunKernel(const Grid& grid, Device& device) {
  std::vector<std::unique_ptr<DeviceUse>> uses;
  {
    const OwnAffairs own;
    std::vector<Device*> peers;
    for (const PointerArgument& argument : grid.body->Pointers()) {
      if (!MayUse(grid.name, argument, device, peers)) return cudaErrorIllegalAddress;
    }
    for (Device* const peer : peers) uses.push_back(std::make_unique<DeviceUse>(*peer));
  }
  static thread_local GridRunner runner(Runtime::Get().settings().workers);
  runner.Run(grid);
  return cudaSuccess;
}

cudaError_t CheckShape(dim3 grid, dim3 block) {
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0) return cudaErrorInvalidConfiguration;
  if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) return cudaErrorInvalidConfiguration;
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads > kMaxBlockThreads) {
    return cudaErrorInvalidConfiguration;
  }
  return cudaSuccess;
}

}  // namespace

cudaError_t LaunchBody(cudaStream_t handle, dim3 grid, dim3 block, std::size_t shared_bytes, const char* name,
                       const void* function, std::shared_ptr<const KernelBody> body) {
  return Call([&](Device&) -> cudaError_t {
    Runtime& runtime = Runtime::Get();
    const auto stream = runtime.StreamOf(handle);
    if (stream == nullptr) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = CheckShape(grid, block); error != cudaSuccess) {
      return Refuse(error, "kernel %s: no device takes a grid of (%u, %u, %u) blocks of (%u, %u, %u) threads", name,
                    grid.x, grid.y, grid.z, block.x, block.y, block.z);
    }
    if (shared_bytes > runtime.SharedLimit(function)) {
      return Refuse(cudaErrorInvalidValue,
                    "kernel %s: %zu bytes of dynamic shared memory, and it may have %zu "
                    "(cudaFuncSetAttribute)",
                    name, shared_bytes, runtime.SharedLimit(function));
    }
    static std::atomic<std::uint64_t> launches{0};
    Grid shape{.name = name,
               .blocks = grid,
               .threads = block,
               .shared_bytes = shared_bytes,
               .body = body.get(),
               .order = runtime.settings().order,
               .seed = runtime.settings().seed + launches.fetch_add(1, std::memory_order_relaxed)};
    return Submit(stream, {.name = name, .run = [shape, body = std::move(body), device = &stream->device()] {
                             return RunKernel(shape, *device);
                           }});
  });
}

}  // namespace lockstep::virtual_gpu

extern "C" cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  using namespace lockstep::virtual_gpu;  // NOLINT: CUDA's names are in no namespace
  return Call([&](Device&) -> cudaError_t {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) {
      return value < -1 || value > 100 ? cudaErrorInvalidValue : cudaSuccess;
    }
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
        static_cast<std::size_t>(value) > kMaxSharedBytes) {
      return cudaErrorInvalidValue;
    }
    Runtime::Get().SetSharedLimit(kernel, static_cast<std::size_t>(value));
    return cudaSuccess;
  });
}
