// What the schedule's formula allows, and what would help: a run's usual durations put through the schedules'
// simulator.
//
// All of it is arithmetic on medians: an estimate of the pipeline's part of a step, from durations that were measured
// under the plan that ran. Where only whole backwards were measured, I and W are taken for half of one each; half a
// micro-batch is taken to cost half.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/stalls/attribution.h"
#include "harness/stalls/model.h"

namespace lockstep::stalls {

struct Allowance {
  std::string formula;       // "(p-1)(F+B)"; "" where the schedule has none for this shape: then it is simulated
  std::vector<double> idle;  // seconds a step, by pipeline rank: makespan idle
  double makespan = 0;       // seconds: of the same durations on every stage
  double ratio = 0;          // mean idle over makespan
};

struct Advice {
  std::string what;    // "schedule zb_h1", "a partition into stages of equal length"
  double seconds = 0;  // that a step would be shorter by
  std::string price;   // what it costs elsewhere: "6 micro-batches' activations in place of 4"; "" where nothing
};

Allowance AllowanceOf(const Run& run, const Attribution& attribution);

// What bounds advice; 0 where not known.
struct Limits {
  std::int64_t samples = 0;  // of a replica a step: no more micro-batches than these
  std::int64_t units = 0;    // blocks or layers of the model: no more stages than these
  double least = 0;          // seconds a step: what gains less is not worth telling
};

// The most useful first.
std::vector<Advice> AdviceFor(const Run& run, const Attribution& attribution, const Limits& limits);

}  // namespace lockstep::stalls
