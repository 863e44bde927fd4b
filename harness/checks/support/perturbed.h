// Inherent noise by perturbation: what rounding can do to a step, told by the oracle itself.
//
// A right trainer's result is the exact result of inputs that are off by rounding. So the oracle makes the step again
// at parameters that are off by one unit round-off at random, a few times: how far its gradients then move is the noise
// that the step's own conditioning allows. The single run is one draw of that noise, and where a step is ill
// conditioned (a LayerNorm over a nearly constant row, an activation at its kink) one draw can be small by chance. Used
// on alarm only.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/oracle/oracle.h"

namespace lockstep::checks {

inline constexpr int kPerturbedRuns = 5;  // the largest of these is the noise

// Step `number` made from `previous` kPerturbedRuns times, gradients taken at perturbed parameters, the update applied
// to the unperturbed ones (left out when `update` is false). The same numbers every time.
std::vector<oracle::TraceStep> PerturbedSteps(const protocol::Workload& workload, const protocol::Inputs& inputs,
                                              const oracle::TraceStep& previous, std::int64_t number, double roundoff,
                                              bool update);

}  // namespace lockstep::checks
