// T: losses, gradients and parameters differ from the oracle by no more than kTau times the single run's own rounding.
// Under AdamW losses and gradients alone: its parameters are optimizer_replay's.
#include "harness/checks/support/noise.h"
#include "harness/checks/support/tolerance.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& single = Need(input.runs.single, "single");
  Verdict verdict;
  CompareToNoise(input, *input.runs.candidate, single, verdict);
  return verdict.Finish(kTau);
}

}  // namespace

extern const Check check_noise_ratio;
const Check check_noise_ratio = MakeCheck("noise_ratio", "T",
                                          "Losses, gradients and (but for AdamW) parameters are as near to the oracle "
                                          "as one device's own rounding.",
                                          {"single"}, Run);

}  // namespace lockstep::checks
