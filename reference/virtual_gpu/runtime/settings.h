// How virtual GPUs behave in this process: the environment's LOCKSTEP_VIRTUAL_* variables, read once and checked.
//
// A value that is not valid ends the process with exit status 2 and one line that says what would be.
#pragma once

#include <cstddef>
#include <cstdint>

#include "reference/virtual_gpu/engine/block_runner.h"

namespace lockstep::virtual_gpu {

// When a stream's work runs.
enum class StreamMode : std::uint8_t {
  kEager,   // as soon as it is enqueued
  kLazy,    // when a synchronisation forces it
  kRandom,  // when a synchronisation forces it, or at a later call that the seed picks
};

struct Settings {
  int devices = 16;
  std::size_t memory_bytes = std::size_t{2} << 30;  // of each device, in this process
  Order order = Order::kForward;
  StreamMode streams = StreamMode::kEager;
  std::uint64_t seed = 1;
  unsigned workers = 1;  // OS threads that run a grid's blocks
};

Settings SettingsOfEnvironment();

}  // namespace lockstep::virtual_gpu
