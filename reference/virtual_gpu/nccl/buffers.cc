#include "reference/virtual_gpu/nccl/buffers.h"

namespace lockstep::virtual_gpu::nccl {

Buffers BuffersOf(const Call& call, int rank, int ranks) {
  const Description& is = call.description;
  const std::int64_t bytes = static_cast<std::int64_t>(is.count) * SizeOfType(is.type), all = bytes * ranks;
  switch (is.kind) {
    case Kind::kReduceScatter:
      return {call.send, all, call.receive, bytes, rank * bytes};
    case Kind::kAllGather:
      return {call.send, bytes, call.receive, all, rank * bytes};
    case Kind::kBroadcast:
      return {call.send, is.peer == rank ? bytes : 0, call.receive, bytes, 0};
    case Kind::kReduce:
      return {call.send, bytes, call.receive, is.peer == rank ? bytes : 0, 0};
    case Kind::kSend:
      return {call.send, bytes, nullptr, 0, 0};
    case Kind::kReceive:
      return {nullptr, 0, call.receive, bytes, 0};
    case Kind::kAllReduce:
      break;
  }
  return {call.send, bytes, call.receive, bytes, 0};
}

}  // namespace lockstep::virtual_gpu::nccl
