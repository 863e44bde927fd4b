// Puts into words how an attempt ended: which rank, what became of it, and where it stood.
#pragma once

#include <string>
#include <vector>

#include "harness/launch/attempt.h"

namespace lockstep::launch {

// One line on the request that was in progress: "rank 1 (pid 4711) was killed by signal 9 (Killed) after step 2".
std::string Explain(const Attempt& attempt, const RequestWatch& request);

// What held the request up: who was slow, and why it was ended, where the ranks' cursors or their own words tell.
std::vector<protocol::Stuck> StuckOf(const Attempt& attempt, const RequestWatch& request);

// The ranks of a request that said hello, and the launcher as rank -1 with the tail of standard error.
std::vector<protocol::RankResult> Ranks(const Attempt& attempt, const RequestWatch& request);

}  // namespace lockstep::launch
