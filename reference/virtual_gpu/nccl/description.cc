#include "reference/virtual_gpu/nccl/description.h"

namespace lockstep::virtual_gpu::nccl {

const char* NameOf(Kind kind) {
  switch (kind) {
    case Kind::kAllReduce:
      return "all-reduce";
    case Kind::kReduceScatter:
      return "reduce-scatter";
    case Kind::kAllGather:
      return "all-gather";
    case Kind::kBroadcast:
      return "broadcast";
    case Kind::kReduce:
      return "reduce";
    case Kind::kSend:
      return "send";
    case Kind::kReceive:
      return "receive";
  }
  return "unknown operation";
}

const char* NameOfType(int type) {
  switch (type) {
    case ncclInt8:
      return "int8";
    case ncclUint8:
      return "uint8";
    case ncclInt32:
      return "int32";
    case ncclUint32:
      return "uint32";
    case ncclInt64:
      return "int64";
    case ncclUint64:
      return "uint64";
    case ncclFloat32:
      return "float32";
    case ncclFloat64:
      return "float64";
    case ncclBfloat16:
      return "bfloat16";
    default:
      return nullptr;
  }
}

const char* NameOfReduction(int reduction) {
  constexpr const char* kNames[] = {"sum", "product", "max", "min", "average"};
  return reduction >= ncclSum && reduction <= ncclAvg ? kNames[reduction] : nullptr;
}

std::int64_t SizeOfType(int type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclBfloat16:
      return 2;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
      return 8;
    default:
      return 4;
  }
}

std::string Words(const Description& of) {
  std::string words = NameOf(of.kind);
  const char* const reduction = NameOfReduction(of.reduction);
  if (reduction != nullptr && of.reduction != ncclSum) words += std::string(" (") + reduction + ")";
  const char* const type = NameOfType(of.type);
  words += " of " + std::to_string(of.count) + " " + (type == nullptr ? "of an unknown type" : type);
  switch (of.kind) {
    case Kind::kBroadcast:
    case Kind::kReceive:
      return words + " from rank " + std::to_string(of.peer);
    case Kind::kReduce:
    case Kind::kSend:
      return words + " to rank " + std::to_string(of.peer);
    default:
      return words;
  }
}

}  // namespace lockstep::virtual_gpu::nccl
