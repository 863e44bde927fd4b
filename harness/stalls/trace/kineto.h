// Traces of PyTorch's profiler, one file a rank, as a run that attribution takes like any other.
//
// Ranks are taken for replicas of each other: one stage, as many micro-batches as a step has backwards. A collective is
// one on all members where group, step and place in the step's order agree. What a trace does not hold (messages of a
// pipeline, memory) is not made up; what was concluded instead of read is told in the run's doubts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/stalls/model.h"
#include "harness/stalls/trace/kineto_rank.h"

namespace lockstep::stalls {

// Throws BadInput: no trace of PyTorch, ranks missing or twice, no step in common.
Run ReadTraces(const std::vector<std::filesystem::path>& files);

// The same of ranks that are read already, in any order. `name` is for people.
Run RunOfTraces(const std::string& name, std::vector<TracedRank> ranks);

}  // namespace lockstep::stalls
