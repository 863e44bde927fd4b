// The speed of the links that a rehearsal imagines. Unset: operations take what the host takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "reference/virtual_gpu/nccl/description.h"

namespace lockstep::virtual_gpu::nccl {

struct Link {
  double seconds_per_byte = 0, latency = 0;  // of one message between neighbours

  bool Imagined() const { return seconds_per_byte > 0 || latency > 0; }
  // What the operations of one group would take at least: collectives as rings, one after another; messages at the same
  // time, over one link each way.
  std::chrono::nanoseconds Duration(std::span<const Description> operations, int ranks) const;
};

// From LOCKSTEP_VIRTUAL_LINK_BYTES_PER_SECOND and LOCKSTEP_VIRTUAL_LINK_LATENCY_SECONDS, once a process. A value that
// is not a number in range ends the process: one line, exit 2.
const Link& LinkOfEnvironment();

}  // namespace lockstep::virtual_gpu::nccl
