// B2: on a workload whose sums are exact, step 1 gives the same bytes in every layout: candidate, single and oracle.
#include <fmt/format.h>

#include "harness/checks/support/compare.h"
#include "harness/checks/support/diagnosis.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using protocol::RunEvidence;

// What a trainer that is exact holds: the oracle's number, rounded once to the master type.
double Rounded(double value, protocol::Precision precision) {
  return precision == protocol::Precision::kF64 ? value : static_cast<double>(static_cast<float>(value));
}

struct Exact {
  const oracle::TraceStep& trace;
  protocol::Precision precision;
  std::vector<protocol::Parameter> parameters;
};

void CompareLoss(const RunEvidence& run, const std::string& name, const Exact& exact, Verdict& verdict) {
  verdict.Count(1);
  const double loss = run.Loss(1), right = Rounded(exact.trace.loss, exact.precision);
  if (SameBits(loss, right)) return;
  verdict.Report(
      {1, "forward", "", -1, -1},
      fmt::format("the loss of {} is {:.17g}, exactly right is {:.17g}: x {:.4f}", name, loss, right, loss / right));
}

void CompareParameters(const RunEvidence& run, const std::string& name, const Exact& exact,
                       const oracle::Values& before, Verdict& verdict) {
  const oracle::Values after = GatherKind(run, 1, "param", exact.parameters);
  for (auto p = exact.parameters.rbegin(); p != exact.parameters.rend(); ++p) {
    std::vector<double> right = exact.trace.parameters.at(p->name);
    for (double& v : right) v = Rounded(v, exact.precision);
    const std::vector<double>& seen = after.at(p->name);
    verdict.Count(p->size());
    const auto difference = CompareBits(seen, right);
    if (!difference) continue;
    Comparison update;  // of the update, where a factor shows
    std::vector<double> moved = seen, due = right;
    for (std::size_t i = 0; i < moved.size(); ++i) {
      moved[i] -= before.at(p->name)[i];
      due[i] -= before.at(p->name)[i];
    }
    update.Add(moved, due);
    const std::string cause = IsRounding(update.relative(), exact.precision)
                                  ? ": rounded where nothing need round, as by a scale that is no power of two"
                                  : "";
    verdict.Report(
        {1, "optimizer", "param/" + p->name, -1, -1},
        fmt::format("{} of {} elements of param/{} of {} are not exact, the first at {}: {:.9g}, right {:.9g}; its "
                    "update: alpha {:.4f}, rho {}{}",
                    difference->count, p->size(), p->name, name, difference->first, difference->a, difference->b,
                    update.alpha(), Figure(update.rho()), cause),
        update.alpha(), update.rho());
  }
}

// The class holds only where the oracle's numbers fit the type without rounding: otherwise the workload is not exact.
void DemandExactOracle(const Exact& exact) {
  for (const auto& [name, values] : exact.trace.parameters) {
    for (const double v : values) {
      if (!SameBits(v, Rounded(v, exact.precision))) {
        throw protocol::BadInput("workload",
                                 "not an exact grid: the oracle's " + name + " of step 1 does not fit fp32");
      }
    }
  }
}

protocol::CheckResult Run(const Input& input) {
  const RunEvidence& candidate = *input.runs.candidate;
  const RunEvidence& single = Need(input.runs.single, "single");
  if (input.trace.steps.size() < 2) throw protocol::BadInput("trace", "has no step 1");
  const Exact exact{input.trace.steps[1], input.workload.precision, ParametersOf(input, candidate)};
  DemandExactOracle(exact);
  Verdict verdict;
  const oracle::Values& before = input.trace.steps[0].parameters;
  bool moved = false;
  for (const auto& [name, values] : exact.trace.parameters) moved = moved || values != before.at(name);
  if (!moved) throw protocol::BadInput("workload", "vacuous: step 1 changes no parameter");
  CompareLoss(candidate, "the run", exact, verdict);
  CompareLoss(single, "the single run", exact, verdict);
  CompareParameters(candidate, "the run", exact, before, verdict);
  CompareParameters(single, "the single run", exact, before, verdict);
  return verdict.Finish();
}

}  // namespace

extern const Check check_exact_grid;
const Check check_exact_grid = MakeCheck(
    "exact_grid", "B2", "Where sums are exact, step 1's loss and updated parameters are the oracle's to the last bit.",
    {"single"}, Run);

}  // namespace lockstep::checks
