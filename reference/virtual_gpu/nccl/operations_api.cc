// NCCL's operations: each entry point describes what it asks for, which is checked and submitted.
#include <nccl.h>

#include <optional>

#include "reference/virtual_gpu/engine/sanitizers.h"
#include "reference/virtual_gpu/nccl/buffers.h"
#include "reference/virtual_gpu/nccl/group.h"
#include "reference/virtual_gpu/nccl/handles.h"
#include "reference/virtual_gpu/runtime/usable.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

std::optional<std::string> CheckBuffer(const char* name, const void* data, std::int64_t bytes, int device) {
  const std::string why = bytes == 0 ? "" : WhyNotUsable(data, bytes, device);
  if (why.empty()) return std::nullopt;
  return std::string(name) + " " + why;
}

std::optional<std::string> CheckOverlap(Kind kind, const Buffers& buffers) {
  if (buffers.send_bytes == 0 || buffers.receive_bytes == 0) return std::nullopt;
  const auto send = reinterpret_cast<std::intptr_t>(buffers.send);
  const auto receive = reinterpret_cast<std::intptr_t>(buffers.receive);
  if (send + buffers.send_bytes <= receive || receive + buffers.receive_bytes <= send) return std::nullopt;
  const bool in_place =
      kind == Kind::kAllGather ? send == receive + buffers.in_place : receive == send + buffers.in_place;
  if (in_place) return std::nullopt;
  return "sendbuff and recvbuff overlap, and not as an operation in place does";
}

std::optional<std::string> CheckArguments(const Description& is, const Buffers& buffers, cudaStream_t stream,
                                          const Communicator& communicator) {
  if (NameOfType(is.type) == nullptr) return "datatype " + std::to_string(is.type) + " is not covered";
  const bool reduces = is.kind == Kind::kAllReduce || is.kind == Kind::kReduceScatter || is.kind == Kind::kReduce;
  if (reduces && NameOfReduction(is.reduction) == nullptr) {
    return "op " + std::to_string(is.reduction) + " is not covered";
  }
  const bool has_peer = is.PointToPoint() || is.kind == Kind::kBroadcast || is.kind == Kind::kReduce;
  if (has_peer && (is.peer < 0 || is.peer >= communicator.ranks())) {
    return std::string(is.PointToPoint() ? "peer " : "root ") + std::to_string(is.peer) + " is none of the " +
           std::to_string(communicator.ranks()) + " ranks";
  }
  constexpr std::uint64_t kMost = std::uint64_t{1} << 48;
  if (is.count > kMost) return "count " + std::to_string(is.count) + " is more than any memory holds";
  const int device = communicator.settings().device;
  if (auto why = CheckBuffer("sendbuff", buffers.send, buffers.send_bytes, device)) return why;
  if (auto why = CheckBuffer("recvbuff", buffers.receive, buffers.receive_bytes, device)) return why;
  if (auto why = CheckOverlap(is.kind, buffers)) return why;
  int streams = device;
  if (stream != nullptr && stream != cudaStreamLegacy && cudaStreamGetDevice(stream, &streams) != cudaSuccess) {
    return "the stream is not one";
  }
  if (streams != device) {
    return "the stream is device " + std::to_string(streams) + "'s, the communicator device " + std::to_string(device) +
           "'s";
  }
  return std::nullopt;
}

ncclResult_t Begin(const char* name, ncclComm_t comm, const Description& is, const void* send, void* receive,
                   cudaStream_t stream) {
  const OwnAffairs own;
  const auto communicator = Find(comm);
  if (communicator == nullptr) return Refuse(ncclInvalidArgument, name, "the communicator is none, or destroyed");
  const ncclResult_t state = communicator->AsyncError(false);
  if (state == ncclInProgress) {
    return Refuse(ncclInvalidArgument, name,
                  "the communicator is not ready: ncclCommGetAsyncError says ncclInProgress");
  }
  if (state != ncclSuccess) {
    SpoilGroup(state);
    return state;
  }
  if (!communicator->Usable()) return Refuse(ncclInvalidUsage, name, "the communicator is finalized");
  const Buffers buffers = BuffersOf({is, send, receive, stream}, communicator->rank(), communicator->ranks());
  if (const auto why = CheckArguments(is, buffers, stream, *communicator)) {
    return Refuse(ncclInvalidArgument, name, *why);
  }
  return Submit(communicator, name, {is, send, receive, stream});
}

}  // namespace
}  // namespace lockstep::virtual_gpu::nccl

using lockstep::virtual_gpu::nccl::Begin;
using lockstep::virtual_gpu::nccl::Kind;

ncclResult_t ncclAllReduce(const void* sendbuff, void* recvbuff, std::size_t count, ncclDataType_t datatype,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return Begin("ncclAllReduce", comm, {Kind::kAllReduce, datatype, op, -1, count}, sendbuff, recvbuff, stream);
}

ncclResult_t ncclReduce(const void* sendbuff, void* recvbuff, std::size_t count, ncclDataType_t datatype,
                        ncclRedOp_t op, int root, ncclComm_t comm, cudaStream_t stream) {
  return Begin("ncclReduce", comm, {Kind::kReduce, datatype, op, root, count}, sendbuff, recvbuff, stream);
}

ncclResult_t ncclReduceScatter(const void* sendbuff, void* recvbuff, std::size_t recvcount, ncclDataType_t datatype,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  return Begin("ncclReduceScatter", comm, {Kind::kReduceScatter, datatype, op, -1, recvcount}, sendbuff, recvbuff,
               stream);
}

ncclResult_t ncclAllGather(const void* sendbuff, void* recvbuff, std::size_t sendcount, ncclDataType_t datatype,
                           ncclComm_t comm, cudaStream_t stream) {
  return Begin("ncclAllGather", comm, {Kind::kAllGather, datatype, -1, -1, sendcount}, sendbuff, recvbuff, stream);
}

ncclResult_t ncclBroadcast(const void* sendbuff, void* recvbuff, std::size_t count, ncclDataType_t datatype, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return Begin("ncclBroadcast", comm, {Kind::kBroadcast, datatype, -1, root, count}, sendbuff, recvbuff, stream);
}

ncclResult_t ncclBcast(void* buff, std::size_t count, ncclDataType_t datatype, int root, ncclComm_t comm,
                       cudaStream_t stream) {
  return Begin("ncclBcast", comm, {Kind::kBroadcast, datatype, -1, root, count}, buff, buff, stream);
}

ncclResult_t ncclSend(const void* sendbuff, std::size_t count, ncclDataType_t datatype, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return Begin("ncclSend", comm, {Kind::kSend, datatype, -1, peer, count}, sendbuff, nullptr, stream);
}

ncclResult_t ncclRecv(void* recvbuff, std::size_t count, ncclDataType_t datatype, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return Begin("ncclRecv", comm, {Kind::kReceive, datatype, -1, peer, count}, nullptr, recvbuff, stream);
}

ncclResult_t ncclGroupStart() {
  lockstep::virtual_gpu::nccl::StartGroup();
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  const lockstep::virtual_gpu::OwnAffairs own;
  return lockstep::virtual_gpu::nccl::EndGroup();
}
