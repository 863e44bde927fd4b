// Clocks of ranks held to causality: no message ends before it began, no collective before its last arrival.
//
// Ranks say how surely they know the common clock. Within that, and no further, a clock that a message contradicts is
// moved, the receiver's later first. Where clocks are sure and still contradicted, something else is wrong, and the
// contradiction stays and is told.
#pragma once

#include <vector>

#include "harness/stalls/model.h"

namespace lockstep::stalls {

// Something of rank `from` came before something of rank `to`, on their own clocks `lead` seconds before it.
struct Precedence {
  std::size_t from = 0, to = 0;
  double lead = 0;
};

// Seconds to add to each rank's times, none by more than its uncertainty; 0 where nothing contradicts.
std::vector<double> MovesOf(const std::vector<double>& uncertainty, const std::vector<Precedence>& precedences);

// Moves the clocks of a run whose messages and collectives are matched; sets clocks[].moved,
// contradicted, and who came last to each collective.
void HoldToCausality(Run* run);

}  // namespace lockstep::stalls
