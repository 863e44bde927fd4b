// Which bytes a call reads and writes on one rank.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/nccl/operation.h"

namespace lockstep::virtual_gpu::nccl {

struct Buffers {
  const void* send = nullptr;
  std::int64_t send_bytes = 0;
  void* receive = nullptr;
  std::int64_t receive_bytes = 0;
  std::int64_t in_place = 0;  // where the received begins in the sent (or, for an all-gather, the sent in the received)
};

Buffers BuffersOf(const Call& call, int rank, int ranks);

}  // namespace lockstep::virtual_gpu::nccl
