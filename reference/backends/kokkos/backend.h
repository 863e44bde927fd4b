// The Kokkos backend's way in: one host device per rank. The ranks' world is that of reference/mpi.
//
// Order in `main`: the world, Runtime, MakeDevice; destruction in reverse. Knows nothing of models, plans or requests.
#pragma once

#include <cstdint>
#include <memory>

#include "reference/device/device.h"

namespace lockstep::backends::kokkos {

// Kokkos runs as long as this object lives; one a process. Threads: OMP_NUM_THREADS where Kokkos has OpenMP, else one.
class Runtime {
 public:
  Runtime();
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
};

// memory_capacity_bytes 0: no cap. `ordinal` is what messages and Info() call the device. Needs a living Runtime.
std::unique_ptr<device::Device> MakeDevice(std::int64_t memory_capacity_bytes, int ordinal);

}  // namespace lockstep::backends::kokkos
