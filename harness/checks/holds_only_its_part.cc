// Principles 2 and 3: in model parallel each worker holds only its part, and the parts together are the model.
#include <fmt/format.h>

#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& run = *input.runs.candidate;
  if (input.plan.tensor * input.plan.pipeline < 2) {
    throw protocol::BadInput("plan", "does not split the model: that a worker holds a part of it is no claim here");
  }
  const std::vector<protocol::Parameter> parameters = ParametersOf(input, run);
  std::int64_t whole = 0;
  for (const protocol::Parameter& p : parameters) whole += p.size();
  Verdict verdict;
  for (const std::int64_t s : TensorStepsWithLoaded(run)) {
    const std::string phase = s == FirstStep(run) - 1 ? "load" : "optimizer";
    for (std::size_t r = 0; r < run.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      std::int64_t held = 0;
      for (const auto& [name, entry] : run.Step(rank, s).entries()) {
        if (ParseTensorName(name).kind == "param") held += protocol::ElementCount(entry.shape);
      }
      verdict.Count(held);
      if (held > 0 && held < whole) continue;
      verdict.Report({s, phase, "", rank, -1},
                     fmt::format("rank {} holds {} of the model's {} elements: {}", rank, held, whole,
                                 held == 0 ? "it has no part" : "it is not split"));
    }
    GatherKind(run, s, "param", parameters);  // refuses any element that nobody holds
  }
  return verdict.Finish();
}

}  // namespace

extern const Check check_holds_only_its_part;
const Check check_holds_only_its_part = MakeCheck(
    "holds_only_its_part", "exact",
    "In model parallel every worker holds less than the model, and the parts together are all of it.", {}, Run);

}  // namespace lockstep::checks
