// Every sample of a step's batch exactly once, at the right replica and micro-batch, with the right count of valid
// targets.
#include "harness/checks/support/ledger_book.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  Verdict verdict;
  CheckLedger(input, *input.runs.candidate, verdict);
  for (const protocol::RunEvidence* resumed : {input.runs.resumed, input.runs.resumed_same}) {
    if (resumed != nullptr) CheckLedger(input, *resumed, verdict);
  }
  return verdict.Finish();
}

}  // namespace

extern const Check check_ledger;
const Check check_ledger = MakeCheck(
    "ledger", "exact",
    "Every sample of a step is run once, by the replica and micro-batch that it belongs to, and its targets counted.",
    {}, Run);

}  // namespace lockstep::checks
