// What every part of one rank's run is given: device, request, place in the plan, how stages are wired,
// groups of ranks, and whom to tell what it does.
//
// Passed by reference and outlived by nothing that keeps it; there is no global state.
#pragma once

#include <cstdint>
#include <filesystem>

#include "harness/protocol/inputs.h"
#include "harness/protocol/request.h"
#include "reference/device/device.h"
#include "reference/trainer/events/activity.h"
#include "reference/trainer/groups.h"
#include "reference/trainer/wiring.h"

namespace lockstep::trainer {

struct RankContext {
  device::Device& device;
  const protocol::Request& request;
  const protocol::Inputs& inputs;
  std::filesystem::path folder;  // the request's
  protocol::Coordinates at;
  const Wiring& wiring;
  Groups& groups;
  Activity& activity;

  const protocol::Model& model() const { return request.workload.model; }
  const protocol::Plan& plan() const { return request.plan; }
  bool bf16() const { return request.workload.precision == protocol::Precision::kBF16; }
  // Rows between tensor-parallel pairs are dealt over the tensor ranks.
  bool sequence_parallel() const { return plan().sequence_parallel && groups.tensor->Size() > 1; }
};

}  // namespace lockstep::trainer
