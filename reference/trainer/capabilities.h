// What this trainer can do, for `--describe` and for refusing what lies outside.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/protocol/manifest.h"
#include "harness/protocol/request.h"

namespace lockstep::trainer {

protocol::Capabilities Describe(const std::string& name);

// Throws BadInput naming the field: outside of the capabilities, or a schedule that can't be run as it stands.
void Refuse(const protocol::Request& request, const protocol::Capabilities& can, const std::string& where);

// An action and its place in the request's line.
struct LineAction {
  protocol::Action action;
  std::int64_t position = 0;
};

// F, B, I and W of a pipeline rank's line. The rest is dropped: the executor adds the transfers that these need, and
// reduces and updates at the end of the step. A fused pair runs as its two parts.
std::vector<LineAction> ComputeLine(const protocol::Schedule& schedule, std::int64_t pipeline_rank);

}  // namespace lockstep::trainer
