// Two runs that must agree to the last bit: rank by rank, or tensor by tensor put together from all ranks.
//
// Values that are not finite differ from everything, themselves included. Every difference is reported; the Verdict
// keeps the first in step order. Times are not compared.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

// Names of the two runs in words, and the steps to compare (both ends included; `first` may be a loaded state's step).
// What a difference says that rounding alone can make, and one that it can't; "" where the check has no more to say.
struct RunPair {
  const protocol::RunEvidence& a;
  const protocol::RunEvidence& b;
  std::string a_name, b_name;  // "the candidate", "the rerun"
  std::int64_t first = 0, last = 0;
  std::string rounding = "", larger = "";
};

// Every tensor of every rank (name, type, slice, bytes), every step event's figures, every micro-batch event. The two
// runs have the same plan.
void CompareByRank(const Input& input, const RunPair& pair, Verdict& verdict);

// Losses, gradient norms, learning rates, and the global tensors of these kinds ("grad", "param", "state", ...),
// whatever the two plans.
void CompareGathered(const Input& input, const RunPair& pair, const std::vector<std::string>& kinds, Verdict& verdict);

}  // namespace lockstep::checks
