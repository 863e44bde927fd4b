// Template of a check: every rank ends on the last step of the workload.
#include "harness/checks/check.h"

namespace lockstep::checks {
namespace {

protocol::CheckResult Run(const Input& input) {
  protocol::CheckResult result;
  for (const protocol::RankEvidence& rank : input.runs.candidate->ranks()) {
    ++result.compared;
    if (rank.done && rank.done->steps == input.workload.steps) continue;
    result.status = protocol::Status::kFail;
    result.first_divergence = protocol::Divergence{input.workload.steps, "optimizer", "", rank.hello.rank, -1};
    result.diagnosis = "the rank ended before the last step";
  }
  if (result.compared == 0) result.status = protocol::Status::kFail;
  return result;
}

}  // namespace

extern const Check check_template_check;
const Check check_template_check{"template_check", "exact", "Every rank ends on the last step.", {}, Run};

}  // namespace lockstep::checks
