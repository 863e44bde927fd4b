// Runs the pieces of all ranks with given durations: when everything would have been, had each taken so long.
//
// A piece of work takes its duration. A wait ends at its rank's own arrival, or its transit after the last of its
// posts, whichever is later. With the recorded durations that gives the recorded times.
#pragma once

#include <vector>

#include "harness/stalls/durations.h"
#include "harness/stalls/tracks.h"

namespace lockstep::stalls {

struct Moments {                                        // of one world
  std::vector<std::vector<protocol::Interval>> pieces;  // [rank][piece]
  std::vector<std::vector<double>> lasts;               // [rank][piece] of waits: when the last post was there
  std::vector<double> posts;                            // [post]
};

// Ranks begin when they did. `tracks` is untangled.
Moments Replay(const Tracks& tracks, const PieceSeconds& seconds);

// Takes away what waits for itself, which no run can have done: events that were recorded wrongly. How many waits.
std::size_t Untangle(Tracks* tracks);

}  // namespace lockstep::stalls
