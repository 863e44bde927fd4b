// The Kokkos backend's way in: one host device per rank, and the ranks' world over MPI.
//
// Order in `main`: MakeWorld, Runtime, MakeDevice; destruction in reverse. The last Communicator to go (the world or a
// group split from it) ends MPI. Knows nothing of models, plans or requests.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "reference/device/communicator.h"
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

// Initialises MPI. Every operation that a peer keeps waiting longer than `deadline` ends with CommunicationError.
// When an exception is on its way, or after a CommunicationError, MPI is not finalised: call Abort.
std::unique_ptr<device::Communicator> MakeWorld(int* argc, char*** argv,
                                                std::chrono::seconds deadline = std::chrono::seconds(60));

// Ends every rank of the job: MPI_Abort, or the process alone where MPI is not running.
[[noreturn]] void Abort(int code);

}  // namespace lockstep::backends::kokkos
