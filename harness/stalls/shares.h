// Splits the waits of one rank and step by their reasons, so that the parts of each wait sum to what was waited.
//
// The replays say by how much each reason made each wait longer, or shorter: a rank that is late itself waits less than
// the schedule would have it. Over a step such gains are taken from the bubble first, because what a step waits for is
// one sum: what it lost in one wait and won in another is not lost. What a reason then has over the step is laid into
// the waits that it made longer.
#pragma once

#include <vector>

#include "harness/stalls/attribution.h"

namespace lockstep::stalls {

struct WaitReasons {
  double waited = 0;  // seconds
  Seconds reasons{};  // sum to `waited`; may be negative, all but the bubble's
};

// Not negative; those of a wait sum to what it waited.
std::vector<Seconds> Share(const std::vector<WaitReasons>& waits);

}  // namespace lockstep::stalls
