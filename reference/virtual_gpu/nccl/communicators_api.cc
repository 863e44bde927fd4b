// NCCL's communicators: their making, state and end.
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "reference/virtual_gpu/engine/sanitizers.h"
#include "reference/virtual_gpu/nccl/group.h"
#include "reference/virtual_gpu/nccl/handles.h"
#include "reference/virtual_gpu/nccl/link.h"
#include "reference/virtual_gpu/nccl/rendezvous.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

// Of a config, or of `inherited` where there is none.
ncclResult_t SettingsOf(const char* call, const ncclConfig_t* config, Communicator::Settings& settings) {
  if (config == nullptr) return ncclSuccess;
  const ncclConfig_t right = NCCL_CONFIG_INITIALIZER;
  if (config->size != right.size || config->magic != right.magic) {
    return Refuse(ncclInvalidArgument, call, "config was not made by NCCL_CONFIG_INITIALIZER");
  }
  if (config->blocking != NCCL_CONFIG_UNDEF_INT && config->blocking != 0 && config->blocking != 1) {
    return Refuse(ncclInvalidArgument, call, "config's blocking is " + std::to_string(config->blocking));
  }
  if (config->blocking != NCCL_CONFIG_UNDEF_INT) settings.blocking = config->blocking == 1;
  if (config->commName != nullptr) settings.name = config->commName;
  return ncclSuccess;
}

// A handle at once; `connect` makes a communicator of it, now, at the group's end, or beside the caller.
ncclResult_t SetUp(ncclComm_t* comm, const Communicator::Settings& settings,
                   const std::function<void(Communicator&)>& connect) {
  const auto communicator = std::make_shared<Communicator>(settings);
  const ncclComm_t handle = Add(communicator);
  *comm = handle;
  return SubmitSetup(
      communicator, [connect, communicator = communicator.get()] { connect(*communicator); },
      [comm, handle] {
        Remove(handle);
        *comm = nullptr;
      });
}

ncclResult_t InitRank(const char* call, ncclComm_t* comm, int ranks, const ncclUniqueId& id, int rank,
                      const ncclConfig_t* config) {
  const OwnAffairs own;
  LinkOfEnvironment();
  if (comm == nullptr) return Refuse(ncclInvalidArgument, call, "comm is null");
  *comm = nullptr;
  if (ranks < 1 || ranks > kMaxRanks || rank < 0 || rank >= ranks) {
    return Refuse(ncclInvalidArgument, call,
                  "rank " + std::to_string(rank) + " of " + std::to_string(ranks) + " is none: 1 to " +
                      std::to_string(kMaxRanks) + " ranks are covered");
  }
  Communicator::Settings settings;
  if (cudaGetDevice(&settings.device) != cudaSuccess) {
    return Refuse(ncclUnhandledCudaError, call, "there is no current device");
  }
  if (const auto result = SettingsOf(call, config, settings)) return result;
  return SetUp(comm, settings,
               [id, ranks, rank](Communicator& communicator) { communicator.Connect(id, ranks, rank); });
}

// What every rank of the parent brings to a split.
struct Part {
  int color, key;
};
static_assert(sizeof(Part) <= kHostBytes && sizeof(ncclUniqueId) <= kHostBytes);

template <typename T>
std::string BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
template <typename T>
T FromBytes(const std::string& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The ranks of the parent that get this one's color, in their new order.
std::vector<int> MembersOf(const std::vector<std::string>& parts, int color) {
  std::vector<std::pair<int, int>> chosen;  // key, rank
  for (std::size_t rank = 0; rank < parts.size(); ++rank) {
    const Part part = FromBytes<Part>(parts[rank]);
    if (part.color == color) chosen.emplace_back(part.key, static_cast<int>(rank));
  }
  std::sort(chosen.begin(), chosen.end());
  std::vector<int> members;
  for (const auto& [key, rank] : chosen) members.push_back(rank);
  return members;
}

// Collective over the parent: its hosts tell each other their colors, then each group's first its unique id.
// `child` is nullptr where this rank takes part in none.
void Split(Communicator& parent, Part part, Communicator* child) {
  const std::vector<int> members = MembersOf(parent.Exchange(BytesOf(part), child), part.color);
  ncclUniqueId id{};
  if (child != nullptr && members.front() == parent.rank()) id = MakeUniqueId();
  const std::vector<std::string> ids = parent.Exchange(BytesOf(id), child);
  if (child == nullptr) return;
  const auto place = std::find(members.begin(), members.end(), parent.rank()) - members.begin();
  child->Connect(FromBytes<ncclUniqueId>(ids[static_cast<std::size_t>(members.front())]),
                 static_cast<int>(members.size()), static_cast<int>(place));
}

std::shared_ptr<Communicator> FindOrRefuse(const char* call, const ncclComm* comm) {
  auto communicator = Find(comm);
  if (communicator == nullptr) Refuse(ncclInvalidArgument, call, "the communicator is none, or destroyed");
  return communicator;
}

// Until all that was launched has ended; then the peers can't count on this rank any more.
void Flush(Communicator& communicator) {
  communicator.Drain([&communicator] {
    if (communicator.recorded) cudaEventQuery(communicator.event());
  });
  if (communicator.Usable()) communicator.Leave();
}

ncclResult_t Tell(const char* call, const ncclComm* comm, int* value, int (*of)(const Communicator&)) {
  const auto communicator = FindOrRefuse(call, comm);
  if (communicator == nullptr) return ncclInvalidArgument;
  if (value == nullptr) return Refuse(ncclInvalidArgument, call, "there is no place for the answer");
  if (communicator->AsyncError() == ncclInProgress) {
    return Refuse(ncclInvalidArgument, call, "the communicator is not ready");
  }
  *value = of(*communicator);
  return ncclSuccess;
}

}  // namespace
}  // namespace lockstep::virtual_gpu::nccl

namespace nccl = lockstep::virtual_gpu::nccl;
using lockstep::virtual_gpu::OwnAffairs;
using nccl::Communicator;

ncclResult_t ncclGetUniqueId(ncclUniqueId* uniqueId) {
  nccl::LinkOfEnvironment();
  if (uniqueId == nullptr) return nccl::Refuse(ncclInvalidArgument, "ncclGetUniqueId", "uniqueId is null");
  try {
    *uniqueId = nccl::MakeUniqueId();
  } catch (const nccl::Failure& failure) {
    return nccl::Refuse(failure.result, "ncclGetUniqueId", failure.text);
  }
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* comm, int nranks, ncclUniqueId commId, int rank) {
  return nccl::InitRank("ncclCommInitRank", comm, nranks, commId, rank, nullptr);
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int nranks, ncclUniqueId commId, int rank, ncclConfig_t* config) {
  return nccl::InitRank("ncclCommInitRankConfig", comm, nranks, commId, rank, config);
}

ncclResult_t ncclCommInitAll(ncclComm_t* comm, int ndev, const int* devlist) {
  const OwnAffairs own;
  constexpr const char* kCall = "ncclCommInitAll";
  int devices = 0, before = 0;
  cudaGetDeviceCount(&devices);
  cudaGetDevice(&before);
  if (comm == nullptr || ndev < 1 || (devlist == nullptr && ndev > devices)) {
    return nccl::Refuse(ncclInvalidArgument, kCall,
                        std::to_string(ndev) + " of " + std::to_string(devices) + " devices");
  }
  ncclUniqueId id;
  if (const auto result = ncclGetUniqueId(&id)) return result;
  nccl::StartGroup();
  for (int rank = 0; rank < ndev; ++rank) {
    const int device = devlist == nullptr ? rank : devlist[rank];
    if (cudaSetDevice(device) != cudaSuccess) {
      nccl::Refuse(ncclInvalidArgument, kCall, "device " + std::to_string(device) + " is none");
    } else {
      nccl::InitRank(kCall, &comm[rank], ndev, id, rank, nullptr);
    }
  }
  cudaSetDevice(before);
  return nccl::EndGroup();
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key, ncclComm_t* newcomm, ncclConfig_t* config) {
  const OwnAffairs own;
  constexpr const char* kCall = "ncclCommSplit";
  const auto parent = nccl::FindOrRefuse(kCall, comm);
  if (parent == nullptr) return ncclInvalidArgument;
  if (newcomm == nullptr) return nccl::Refuse(ncclInvalidArgument, kCall, "newcomm is null");
  *newcomm = nullptr;
  if (color < 0 && color != NCCL_SPLIT_NOCOLOR) {
    return nccl::Refuse(ncclInvalidArgument, kCall, "color " + std::to_string(color) + " is none");
  }
  if (const auto state = parent->AsyncError()) {
    if (state == ncclInProgress) nccl::Refuse(ncclInvalidArgument, kCall, "the communicator is not ready");
    return state == ncclInProgress ? ncclInvalidArgument : state;
  }
  Communicator::Settings settings = parent->settings();
  if (const auto result = nccl::SettingsOf(kCall, config, settings)) return result;
  const nccl::Part part{color, key};
  if (color == NCCL_SPLIT_NOCOLOR) {
    return nccl::SubmitSetup(
        parent, [parent = parent.get(), part] { nccl::Split(*parent, part, nullptr); }, [] {});
  }
  return nccl::SetUp(newcomm, settings, [parent, part](Communicator& child) { nccl::Split(*parent, part, &child); });
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const OwnAffairs own;
  const auto communicator = nccl::FindOrRefuse("ncclCommFinalize", comm);
  if (communicator == nullptr) return ncclInvalidArgument;
  const ncclResult_t state = communicator->AsyncError();
  if (state != ncclSuccess && state != ncclInProgress) return state;
  if (state == ncclInProgress || !communicator->Usable()) {
    return nccl::Refuse(ncclInvalidUsage, "ncclCommFinalize", "the communicator is not ready, or finalized already");
  }
  communicator->BeginWork();
  const auto work = [communicator] {
    const OwnAffairs inner;
    communicator->DoWork([&] { nccl::Flush(*communicator); });
  };
  if (communicator->settings().blocking) {
    work();
    return communicator->AsyncError();
  }
  std::thread(work).detach();
  return ncclInProgress;
}

// What still waits after the flush has failed, and nobody would let go of it.
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const OwnAffairs own;
  const auto communicator = nccl::FindOrRefuse("ncclCommDestroy", comm);
  if (communicator == nullptr) return ncclInvalidArgument;
  communicator->AwaitWork();
  nccl::Flush(*communicator);
  communicator->Abort();
  nccl::Remove(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const OwnAffairs own;
  const auto communicator = nccl::FindOrRefuse("ncclCommAbort", comm);
  if (communicator == nullptr) return ncclInvalidArgument;
  communicator->Abort();
  nccl::Remove(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* asyncError) {
  const OwnAffairs own;
  const auto communicator = nccl::FindOrRefuse("ncclCommGetAsyncError", comm);
  if (communicator == nullptr) return ncclInvalidArgument;
  if (asyncError == nullptr) {
    return nccl::Refuse(ncclInvalidArgument, "ncclCommGetAsyncError", "asyncError is null");
  }
  *asyncError = communicator->AsyncError();
  return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  return nccl::Tell("ncclCommCount", comm, count, [](const Communicator& of) { return of.ranks(); });
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  return nccl::Tell("ncclCommUserRank", comm, rank, [](const Communicator& of) { return of.rank(); });
}

ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  return nccl::Tell("ncclCommCuDevice", comm, device, [](const Communicator& of) { return of.settings().device; });
}

ncclResult_t ncclGetVersion(int* version) {
  if (version == nullptr) return nccl::Refuse(ncclInvalidArgument, "ncclGetVersion", "version is null");
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "operation in progress";
    case ncclNumResults:
      break;
  }
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t comm) {
  thread_local std::string text;
  const auto communicator = comm == nullptr ? nullptr : nccl::Find(comm);
  text = communicator == nullptr ? "" : communicator->LastError();
  if (text.empty()) text = nccl::LastRefusal();
  return text.c_str();
}
