// A checkpoint loaded under another layout is the state that was saved, and training goes on from it as if never
// stopped.
#include <fmt/format.h>

#include "harness/checks/support/bitwise.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/ledger_book.h"
#include "harness/checks/support/noise.h"
#include "harness/checks/support/tolerance.h"

namespace lockstep::checks {

namespace {

// Says which state came back as zeros: the usual way in which a moment is lost.
void NoteLostState(const Input& input, const protocol::RunEvidence& resumed, std::int64_t step, Verdict& verdict) {
  const auto parameters = ParametersOf(input, resumed);
  std::int64_t zero = 0, all = 0;
  for (const auto& [name, values] : GatherState(resumed, step, input.workload.optimizer.kind, parameters)) {
    ++all;
    bool zeros = true;
    for (const double v : values) zeros = zeros && v == 0;
    zero += zeros ? 1 : 0;
  }
  if (zero > 0) {
    verdict.Note(
        fmt::format("{} of {} loaded state tensors are all zero: the optimizer's state was dropped", zero, all));
  }
}

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& candidate = *input.runs.candidate;
  const protocol::RunEvidence& resumed = Need(input.runs.resumed, "resumed");
  const std::int64_t loaded = FirstStep(resumed) - 1;
  Verdict verdict;
  std::vector<std::string> kinds = {"param"};
  if (resumed.request().evidence.optimizer_state && !protocol::StateNames(input.workload.optimizer.kind).empty()) {
    kinds.push_back("state");
  }
  CompareGathered(input, {candidate, resumed, "the run that saved", "the run that loaded", loaded, loaded}, kinds,
                  verdict);
  if (verdict.failed() && kinds.size() > 1) NoteLostState(input, resumed, loaded, verdict);
  CheckLedger(input, resumed, verdict);
  if (input.runs.resumed_same != nullptr) {
    const protocol::RunEvidence& same = *input.runs.resumed_same;
    CheckLedger(input, same, verdict);
    CompareByRank(input,
                  {same, candidate, "the run that resumed", "the run that never stopped", loaded + 1, LastStep(same)},
                  verdict);
  }
  verdict.Measure(verdict.failed() ? std::numeric_limits<double>::infinity() : 0);
  CompareToNoise(input, resumed, Need(input.runs.single, "single"), verdict);
  return verdict.Finish(kTau);
}

}  // namespace

extern const Check check_checkpoint_round_trip;
const Check check_checkpoint_round_trip = MakeCheck(
    "checkpoint_round_trip", "B0",
    "A checkpoint comes back to the last bit under any layout, and training goes on from it at the same step and data.",
    {"single", "resumed", "resumed_same"}, Run);

}  // namespace lockstep::checks
