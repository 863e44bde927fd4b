// Principle 1: in data parallel every worker holds the full model.
#include <fmt/format.h>

#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& run = *input.runs.candidate;
  if (input.plan.tensor > 1 || input.plan.pipeline > 1 || input.plan.zero_stage > 2) {
    throw protocol::BadInput("plan", "splits the model: that every worker holds all of it is no claim here");
  }
  Verdict verdict;
  for (const std::int64_t s : TensorStepsWithLoaded(run)) {
    for (std::size_t r = 0; r < run.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      for (const protocol::Parameter& p : ParametersOf(input, run)) {
        const std::string tensor = "param/" + p.name;
        verdict.Count(p.size());
        const bool held = run.Step(rank, s).Contains(tensor);
        if (held && run.SliceOf(rank, s, tensor).IsWhole() && run.SliceOf(rank, s, tensor).global_shape == p.shape)
          continue;
        const std::string part = held ? protocol::ToString(run.SliceOf(rank, s, tensor).shape) : "nothing";
        const std::string kind = held ? "a shard, where the plan has whole replicas" : "left out";
        verdict.Report({s, s == FirstStep(run) - 1 ? "load" : "optimizer", tensor, rank, -1},
                       fmt::format("rank {} holds {} of {}, which is {}: {}", rank, part, tensor,
                                   protocol::ToString(p.shape), kind));
      }
    }
  }
  return verdict.Finish();
}

}  // namespace

extern const Check check_holds_full_model;
const Check check_holds_full_model =
    MakeCheck("holds_full_model", "exact", "In data parallel every worker holds every parameter whole.", {}, Run);

}  // namespace lockstep::checks
