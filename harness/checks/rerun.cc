// B0: the candidate run once more leaves the same bytes.
#include "harness/checks/support/bitwise.h"
#include "harness/checks/support/evidence_view.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& candidate = *input.runs.candidate;
  const protocol::RunEvidence& rerun = Need(input.runs.rerun, "rerun");
  Verdict verdict;
  CompareByRank(input,
                {candidate, rerun, "the run", "the rerun", FirstStep(candidate) - 1, LastStep(candidate),
                 "rounding alone: something is added in an order that is not the same in every run",
                 "more than rounding: a race, or a random number that the request's seed does not fix"},
                verdict);
  return verdict.Finish();
}

}  // namespace

extern const Check check_rerun;
const Check check_rerun = MakeCheck(
    "rerun", "B0", "Run again, every rank leaves the same bytes: tensors, losses, norms, ledger.", {"rerun"}, Run);

}  // namespace lockstep::checks
