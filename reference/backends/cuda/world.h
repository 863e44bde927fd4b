// All ranks that the launcher started, as one communicator of the CUDA backend; and which device of its node a rank
// has.
#pragma once

#include <chrono>
#include <memory>

#include "reference/backends/cuda/runtime.h"
#include "reference/device/communicator.h"
#include "reference/mpi/mpi_communicator.h"

namespace lockstep::backends::cuda {

// The rank's number among those of its host that see the same devices: 0, 1, ... Collective over `hosts`. A launcher
// that shows each rank devices of its own makes it 0 on all of them.
int NumberOnNode(mpi::MpiCommunicator& hosts);

// Elements travel over NCCL, host values over `hosts`, which is all ranks. What a peer keeps waiting longer than
// `deadline` ends with CommunicationError. Collective over `hosts`; the runtime must outlive the world and its groups.
std::unique_ptr<device::Communicator> MakeWorld(Runtime& runtime, std::unique_ptr<mpi::MpiCommunicator> hosts,
                                                std::chrono::milliseconds deadline);

}  // namespace lockstep::backends::cuda
