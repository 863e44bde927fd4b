// Splits the waits of one rank and step into bubble, imbalance and straggler, so that they sum to what was waited.
//
// The three replays give each wait a length. Their differences may be negative: a rank that is late itself waits less
// than the schedule would have it. Over a step such differences are taken from the next reason (straggler from
// imbalance, that from the bubble), because what a step waits for is one sum: time that it lost in one wait and won in
// another is not lost.
#pragma once

#include <vector>

namespace lockstep::stalls {

struct WaitLengths {  // seconds
  double uniform = 0, median = 0, actual = 0;
};

struct WaitShares {  // not negative; sum to actual
  double bubble = 0, imbalance = 0, straggler = 0;
};

std::vector<WaitShares> Share(const std::vector<WaitLengths>& waits);

}  // namespace lockstep::stalls
