// Delays as people ask for them: "rank=1,op=F,ms=50", also with step=3 and micro_batch=0.
#pragma once

#include <string>

#include "harness/protocol/request.h"

namespace lockstep::cli {

// Adds one to the request. Throws BadInput: a rank that isn't there, an operation that the rank never does under the
// plan, a step or micro-batch out of range; with the nearest right word.
void AddDelay(const std::string& text, protocol::Request* request);

}  // namespace lockstep::cli
