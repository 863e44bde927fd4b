// A run that never was: timelines of a plan's ranks with durations that a test chooses, so that the answer is known.
//
// Each step: data, the rank's line (host, wait, operation, handing over), an all-reduce over the replicas, a meeting of
// the world, the optimizer. It runs by its own event loop, apart from the replays that it tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/stalls/model.h"

namespace lockstep::stalls {

struct Moment {  // what a duration is asked for
  std::int64_t rank = 0, step = 0;
  std::string name;  // "F", "B", "I", "W", "send", "data", "host", "optimizer"
  std::int64_t stage = -1, micro_batch = -1;
};

struct Scene {
  protocol::Plan plan;
  std::int64_t steps = 6;
  double forward = 1, backward = 2, input_gradient = 1, weight_gradient = 1;  // seconds
  double data = 0, send = 0, host = 0, optimizer = 0;
  double latency = 0;                 // of a message, after its post
  double reduction = 0, meeting = 0;  // after the last arrival
  std::function<double(const Moment&)> extra = [](const Moment&) { return 0.0; };

  std::vector<protocol::Timeline> Timelines() const;
  Run Joined() const;
};

// 2 pipeline ranks and so on: "pp=4,m=8".
Scene SceneOf(const std::string& plan);

}  // namespace lockstep::stalls
