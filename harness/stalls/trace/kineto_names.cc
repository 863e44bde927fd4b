#include "harness/stalls/trace/kineto_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace lockstep::stalls {
namespace {

constexpr std::array<std::string_view, 5> kBackends{"gloo:", "nccl:", "mpi:", "ucc:", "xccl:"};

// Longer names before those that they begin with.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kCollectives{
    {{"allreduce", "all_reduce"},
     {"allgather", "all_gather"},
     {"reducescatter", "reduce_scatter"},
     {"alltoall", "all_to_all"},
     {"broadcast", "broadcast"},
     {"barrier", "barrier"},
     {"gather", "gather"},
     {"scatter", "scatter"},
     {"reduce", "reduce"},
     {"sendrecv", "send_receive"},
     {"send", "send"},
     {"recv", "receive"}}};

std::string_view Cut(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

}  // namespace

bool IsReducer(std::string_view name) {
  return name.starts_with("torch.distributed.ddp.reducer") || name.starts_with("torch::distributed::reducer");
}

bool IsBackendWork(std::string_view name) {
  return std::any_of(kBackends.begin(), kBackends.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::string CollectiveNameOf(std::string_view name) {
  std::string_view core = Cut(Cut(name, kCallPrefix), "ncclDevKernel_");
  core = Cut(core, "ncclKernel_");
  for (const std::string_view backend : kBackends) core = Cut(core, backend);
  std::string letters;  // "_allgather_base" and "AllGather" alike
  for (const char c : core) {
    if (c != '_') letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  for (const auto& [spelling, operation] : kCollectives) {
    if (letters.starts_with(spelling)) return std::string(operation);
  }
  return letters;
}

bool IsPointToPoint(std::string_view operation) {
  return operation == "send" || operation == "receive" || operation == "send_receive";
}

}  // namespace lockstep::stalls
