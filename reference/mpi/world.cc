#include "reference/mpi/world.h"

#include <cstdlib>
#include <numeric>

#include "reference/mpi/mpi_communicator.h"

namespace lockstep::mpi {

std::unique_ptr<MpiCommunicator> MakeMpiWorld(int* argc, char*** argv, std::chrono::seconds deadline) {
  auto engine = std::make_shared<MessageEngine>(argc, argv, deadline);
  std::vector<int> members(static_cast<std::size_t>(engine->size()));
  std::iota(members.begin(), members.end(), 0);
  return std::make_unique<MpiCommunicator>(std::move(engine), std::move(members), 0);
}

std::unique_ptr<device::Communicator> MakeWorld(int* argc, char*** argv, std::chrono::seconds deadline) {
  return MakeMpiWorld(argc, argv, deadline);
}

void Abort(int code) {
  int running = 0, ended = 0;
  MPI_Initialized(&running);
  MPI_Finalized(&ended);
  if (running != 0 && ended == 0) MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

}  // namespace lockstep::mpi
