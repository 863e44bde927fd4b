// What this trainer can do, for `--describe` and for refusing what lies outside.
#pragma once

#include <string>

#include "harness/protocol/manifest.h"
#include "harness/protocol/request.h"

namespace lockstep::trainer {

protocol::Capabilities Describe(const std::string& name);

// Throws BadInput naming the field: outside of the capabilities, or a schedule that can't be run as it stands.
void Refuse(const protocol::Request& request, const protocol::Capabilities& can, const std::string& where);

// F and B actions of a pipeline rank's line; explicit transfers are dropped: the executor adds its own.
std::vector<protocol::Action> ComputeLine(const protocol::Schedule& schedule, std::int64_t pipeline_rank);

}  // namespace lockstep::trainer
