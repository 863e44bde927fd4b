// A rank's recorded events as timeline.jsonl says them: on the common clock, with when each operation could have begun.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/protocol/timeline.h"
#include "reference/trainer/events/clock_alignment.h"
#include "reference/trainer/events/recorder.h"

namespace lockstep::trainer {

struct TimelineGroup {
  std::string name;
  std::vector<std::int64_t> members;  // ranks of the world
};

// `groups`: by GroupKind, those of more than one rank.
protocol::Timeline MakeTimeline(std::int64_t rank, const std::vector<Event>& events, const CommonClock& clock,
                                const std::map<std::uint8_t, TimelineGroup>& groups);

}  // namespace lockstep::trainer
