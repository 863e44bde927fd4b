// Names the cycle in which the ranks of a schedule that came to no end wait for each other.
#pragma once

#include "harness/schedule/execution.h"
#include "harness/schedule/index.h"

namespace lockstep::schedule {

// `execution` is not complete. The problem stands at an operation of the cycle; its text goes once around.
Problem ExplainWait(const Index& index, const Execution& execution, const Channels& channels);

}  // namespace lockstep::schedule
