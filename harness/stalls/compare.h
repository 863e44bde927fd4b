// Compares two replays: how much later each moment is in one than in the other, and whose pieces made it so.
//
// A piece of work makes its rank late by what it takes longer, and a message on its way whoever needs it. A wait ends
// at its rank's own arrival or with the last to come, whichever is later. Which of them counts may differ between the
// worlds; then the lateness of a wait's end is made of both, in the shares in which each counts when one world is
// turned into the other evenly. Those shares are exact: the charges of every moment sum to its lateness.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "harness/stalls/replay.h"

namespace lockstep::stalls {

using CauseId = std::int32_t;
using Charges = std::vector<std::pair<CauseId, double>>;  // by cause, ascending

struct Comparison {
  std::vector<std::vector<Charges>>
      waits;                 // [rank][piece]: why a post is waited for longer, or shorter, in the second world
  std::vector<double> cost;  // [cause] by how much it made all ranks later, for good
};

// `causes`: [rank][piece of work or wait]. `first` and `second` are replays of the same tracks with these durations.
struct World {
  const PieceSeconds& seconds;
  const Moments& moments;
};
Comparison Compare(const Tracks& tracks, const std::vector<std::vector<CauseId>>& causes, std::size_t cause_count,
                   const World& first, const World& second);

}  // namespace lockstep::stalls
