// Makes the runs of a session: inputs, requests, launches.
//
// Requests of one world size share launches, as many as the trainer takes; runs that need a checkpoint come after those
// that leave it. It writes into the session how each run ended, and judges nothing.
#pragma once

#include <filesystem>
#include <functional>

#include "harness/conform/session.h"
#include "harness/launch/launch.h"
#include "harness/protocol/manifest.h"

namespace lockstep::conform {

struct Progress {
  std::size_t runs_done = 0, runs = 0;
  double seconds = 0;
  std::string now;  // the first run of the launch in progress
};

struct ExecuteOptions {
  std::filesystem::path folder;  // output folder
  launch::Limits limits;
  std::function<void(const Progress&)> on_progress;  // a few times a second; may be empty
};

// Fills in `runs` of every supported case. Stops early on SIGINT and SIGTERM: what was not reached has no end. So it is
// when it throws (inputs that can't be made, a full disk): the runs made before have theirs.
void Execute(const protocol::Manifest& manifest, const ExecuteOptions& options, Session* session);

}  // namespace lockstep::conform
