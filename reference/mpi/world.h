// The way in: all ranks that the launcher started, as one communicator over MPI; and how they all end at once.
//
// Every rank calls MakeWorld first, before it opens a device. The last Communicator to go (the world or a group split
// from it) ends MPI. Buffers are host memory: a backend whose memory the host can't read keeps this one for host
// values.
#pragma once

#include <chrono>
#include <memory>

#include "reference/device/communicator.h"

namespace lockstep::mpi {

// Initialises MPI. Every operation that a peer keeps waiting longer than `deadline` ends with CommunicationError.
// When an exception is on its way, or after a CommunicationError, MPI is not finalised: call Abort.
std::unique_ptr<device::Communicator> MakeWorld(int* argc, char*** argv,
                                                std::chrono::seconds deadline = std::chrono::seconds(60));

// Ends every rank of the job: MPI_Abort, or the process alone where MPI is not running.
[[noreturn]] void Abort(int code);

}  // namespace lockstep::mpi
