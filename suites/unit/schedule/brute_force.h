// A second opinion on schedules, written apart from the verifier: runs the lines in the plainest way there is, on sets
// of words, every rank tried again and again until nothing moves, and then looks at what was done. Slow, for small
// shapes.
#pragma once

#include <string>

#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

// "" where training comes out right when every send waits for its receive; otherwise what went wrong.
std::string HarmOf(const protocol::Schedule& schedule);

}  // namespace lockstep::schedule
