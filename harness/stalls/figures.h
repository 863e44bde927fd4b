// Where the time of a whole run went, as records and metrics keep it: seconds by category, and its bubble beside the
// formula's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/evidence.h"

namespace lockstep::stalls {

struct RunFigures {
  // By rank; by category's name. "untraced": idle seconds of steps that the timelines no longer hold.
  std::vector<std::map<std::string, double>> seconds;
  // Of a pipeline, over its counted steps: bubble over time, and what its schedule's formula allows of equal stages.
  std::optional<double> bubble_ratio, bubble_expected_ratio;
};

// Nothing where the trainer left no timelines, which it may. Throws BadInput for one that can't be read.
RunFigures FiguresOf(const std::filesystem::path& request_folder, const protocol::Request& request,
                     const std::vector<protocol::RankEvidence>& ranks);

}  // namespace lockstep::stalls
