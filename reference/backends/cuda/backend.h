// The CUDA backend's way in: one GPU a rank, and the ranks' world over MPI and NCCL.
//
// Order in `main`: Runtime once the rank knows its ordinal, then MakeDevice; destruction in reverse. Knows nothing of
// models, plans or requests. The same sources run on virtual GPUs (reference/virtual_gpu).
#pragma once

#include <cstdint>
#include <memory>

#include "reference/backends/cuda/runtime.h"
#include "reference/device/device.h"

namespace lockstep::backends::cuda {

// The runtime's device, with memory from an arena of its own. memory_capacity_bytes 0: no cap but the device's.
std::unique_ptr<device::Device> MakeDevice(Runtime& runtime, std::int64_t memory_capacity_bytes);

}  // namespace lockstep::backends::cuda
