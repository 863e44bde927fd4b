#include "reference/backends/cuda/world.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "reference/backends/cuda/nccl_communicator.h"

namespace lockstep::backends::cuda {

int NumberOnNode(mpi::MpiCommunicator& hosts) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  const std::string mine = std::string(host) + "\n" + (visible == nullptr ? "all" : visible);
  const std::vector<std::string> all = hosts.GatherOnHost(mine);
  return static_cast<int>(std::count(all.begin(), all.begin() + hosts.Rank(), mine));
}

std::unique_ptr<device::Communicator> MakeWorld(Runtime& runtime, std::unique_ptr<mpi::MpiCommunicator> hosts,
                                                std::chrono::milliseconds deadline) {
  return std::make_unique<NcclCommunicator>(std::make_shared<NcclEngine>(runtime, deadline), std::move(hosts));
}

}  // namespace lockstep::backends::cuda
