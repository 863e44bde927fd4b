// How long each piece of work, and each message on its way, takes in the three worlds that attribution compares.
//
//   actual   as recorded
//   median   what is usual for the rank's stage: the median over steps and micro-batches. Of the ranks that do the same
//            work (replicas, tensor shards) the usual is the lower median of theirs, so that one that is always slower
//            than its like is a straggler, and not the usual
//   uniform  the same on every stage: the lower median of the stages' medians, so that one stage that takes longer
//            stands out by all that it takes longer; and nothing but operations: messages arrive at once
//
// An operation that posts something on its way is several pieces; each is held against the same piece of its like.
#pragma once

#include <vector>

#include "harness/stalls/tracks.h"

namespace lockstep::stalls {

using PieceSeconds = std::vector<std::vector<double>>;  // [rank][piece]; of waits their transit, 0 for posts

struct Worlds {
  PieceSeconds uniform, median, actual;
  std::vector<UsualDuration> usual;
};

Worlds MakeWorlds(const Run& run, const Tracks& tracks);

double LowerMedian(std::vector<double> values);  // of at least one

}  // namespace lockstep::stalls
