// B1: runs whose arithmetic is the same by construction agree to the last bit.
//
// With one replica and whole layers (dp = tp = 1) a pipeline adds the same numbers in the same order as the single run
// with the same micro-batches. With several replicas the same holds between overlap on and off.
#include "harness/checks/support/bitwise.h"
#include "harness/checks/support/evidence_view.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& candidate = *input.runs.candidate;
  const std::int64_t first = FirstStep(candidate) - 1, last = LastStep(candidate);
  Verdict verdict;
  if (input.plan.data == 1 && input.plan.tensor == 1) {
    const protocol::RunEvidence& single = Need(input.runs.single, "single");
    std::vector<std::string> kinds;
    if (candidate.request().evidence.gradients) kinds.push_back("grad");
    if (candidate.request().evidence.parameters) kinds.push_back("param");
    RunPair pair{candidate, single, "the run", "the single run", first, first};
    pair.rounding = "rounding alone: the same numbers, added in another order (of micro-batches, or within a sum)";
    pair.larger = "more than rounding: other numbers";
    CompareGathered(input, pair, {"param"}, verdict);  // the state loaded holds no gradients
    pair.first = first + 1;
    pair.last = last;
    CompareGathered(input, pair, kinds, verdict);
  } else {
    const protocol::RunEvidence& variant = Need(input.runs.variant, "variant");
    CompareByRank(input,
                  {candidate, variant, "the run", "the run with overlap turned round", first, last,
                   "rounding alone: the overlapped reduction adds in another order",
                   "more than rounding: the overlapped reduction meets gradients that are not complete"},
                  verdict);
  }
  return verdict.Finish();
}

}  // namespace

extern const Check check_by_construction;
const Check check_by_construction = MakeCheck(
    "by_construction", "B1",
    "A pipeline equals the single run with the same micro-batches, and overlap on equals off, to the last bit.",
    {"single", "variant"}, Run);

}  // namespace lockstep::checks
