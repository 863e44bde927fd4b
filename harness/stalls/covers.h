// Which of the things that a rank was in at a moment counts: the sweep over a rank's operations, spans and waits.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/protocol/timeline.h"

namespace lockstep::stalls {

// By what covers what. Of the same layer, what began later.
enum class Layer { kSpan, kMessageWait, kOp, kCollectiveWait };

struct Cover {
  protocol::Interval time;
  Layer layer = Layer::kSpan;
  std::int32_t item = -1;
};

struct Stretch {
  protocol::Interval time;
  std::int32_t item = -1;  // -1: nothing covers it
};

// `window` in stretches without gap: one as long as the same item counts, but cut at `cuts` (ascending).
std::vector<Stretch> Sweep(std::vector<Cover> covers, const protocol::Interval& window,
                           const std::vector<double>& cuts);

}  // namespace lockstep::stalls
