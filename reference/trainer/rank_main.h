// A rank's main: command line, requests one after another, and how a rank ends when it can't go on.
//
// The same for every backend; a backend says how to make its device and its world.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "reference/device/communicator.h"
#include "reference/device/device.h"
#include "reference/trainer/seams.h"

namespace lockstep::trainer {

struct Backend {
  std::string name;         // "kokkos"
  std::string description;  // a line of --help
  // capacity_bytes 0: no cap; ordinal: what messages and evidence call the device, the rank's number in the world.
  std::function<std::unique_ptr<device::Device>(std::int64_t capacity_bytes, int ordinal)> make_device;
  // deadline: how long a peer may keep an operation waiting. Called before make_device, if at all: the device of a
  // process without a world is the first of its node.
  std::function<std::unique_ptr<device::Communicator>(int* argc, char*** argv, std::chrono::seconds deadline)>
      make_world;
  std::function<void(int code)> abort;  // ends every rank
};

// The backend that this program is linked with: each backend's library defines it, in its rank_backend.cc. What it
// makes must go before it does.
Backend LinkedBackend();

// 0: all requests done; 2: an option or a request that can't be read or done; otherwise the job is aborted with 1.
int RunTrainer(int argc, char** argv, const Backend& backend, Seams& seams);

}  // namespace lockstep::trainer
