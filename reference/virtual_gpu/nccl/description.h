// What an operation is, as all ranks must agree on it, and its words.
#pragma once

#include <nccl.h>

#include <cstdint>
#include <string>

namespace lockstep::virtual_gpu::nccl {

enum class Kind : std::int32_t { kAllReduce, kReduceScatter, kAllGather, kBroadcast, kReduce, kSend, kReceive };

// Lies in shared memory: plain, of one size, compared member by member.
struct Description {
  Kind kind = Kind::kAllReduce;
  std::int32_t type = 0;        // ncclDataType_t
  std::int32_t reduction = -1;  // ncclRedOp_t, -1 where nothing is reduced
  std::int32_t peer = -1;       // root, or the other end; -1: none
  std::uint64_t count = 0;      // elements, as the call counts them
  bool operator==(const Description&) const = default;

  bool PointToPoint() const { return kind == Kind::kSend || kind == Kind::kReceive; }
};

const char* NameOf(Kind kind);               // "all-reduce"
const char* NameOfType(int type);            // "float32"; nullptr: not covered
const char* NameOfReduction(int reduction);  // "sum"; nullptr: not covered
std::int64_t SizeOfType(int type);           // bytes
std::string Words(const Description& of);    // "all-reduce of 12 float32", "broadcast of 3 int64 from rank 2"

}  // namespace lockstep::virtual_gpu::nccl
