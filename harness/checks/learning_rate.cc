// The learning rate of every step is the schedule's, on every rank.
#include <fmt/format.h>

#include <cmath>

#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

namespace {

// Whose rate was it? Steps up to world_size times further on, and step 0.
std::string Origin(const Input& input, std::int64_t step, double rate) {
  const protocol::Optimizer& optimizer = input.workload.optimizer;
  const double bound = LearningRateBound(optimizer, step, input.workload.precision);
  std::vector<std::int64_t> steps;
  const std::int64_t last = (step + 1) * std::max<std::int64_t>(2, input.plan.WorldSize() * input.plan.micro_batches);
  for (std::int64_t s = 0; s <= last; ++s) {
    if (std::fabs(protocol::LearningRate(optimizer, s) - rate) <= bound) steps.push_back(s);
  }
  if (steps.empty())
    return fmt::format("x {} of the right one", Figure(rate / protocol::LearningRate(optimizer, step)));
  const std::int64_t s = steps.front();
  std::string words = fmt::format("it is the rate of step {}", s);
  const auto times = [&](std::int64_t degree, const char* name) {
    if (degree > 1 && s == step * degree)
      words += fmt::format(": the schedule is advanced {} = {} times a step", degree, name);
  };
  times(input.plan.data, "data-parallel degree");
  if (input.plan.micro_batches != input.plan.data) times(input.plan.micro_batches, "micro-batches");
  if (input.plan.WorldSize() != input.plan.data) times(input.plan.WorldSize(), "world size");
  if (s == step - 1) words += ": the schedule is a step behind";
  if (s == step + 1 && s != step * input.plan.data) words += ": the schedule is a step ahead";
  return words;
}

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& run = *input.runs.candidate;
  Verdict verdict;
  verdict.Measure(0);
  for (std::int64_t s = FirstStep(run); s <= LastStep(run); ++s) {
    const double right = protocol::LearningRate(input.workload.optimizer, s);
    const double bound = LearningRateBound(input.workload.optimizer, s, input.workload.precision);
    for (std::size_t r = 0; r < run.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      const std::optional<double> rate = StepEventOf(run, rank, s).learning_rate;
      verdict.Count(1);
      if (!rate) {
        verdict.Report({s, "optimizer", "", rank, -1}, fmt::format("rank {} reports no learning rate", rank));
        continue;
      }
      const double error = std::fabs(*rate - right);
      if (error <= bound) {
        if (bound > 0) verdict.Measure(error / bound);
        continue;
      }
      verdict.Measure(bound > 0 ? error / bound : std::numeric_limits<double>::infinity());
      verdict.Report({s, "optimizer", "", rank, -1},
                     fmt::format("the learning rate of step {} is {:.9g} on rank {}, right {:.9g}; {}", s, *rate, rank,
                                 right, Origin(input, s, *rate)));
    }
  }
  return verdict.Finish(1);
}

}  // namespace

extern const Check check_learning_rate;
const Check check_learning_rate =
    MakeCheck("learning_rate", "exact", "Every rank uses the schedule's learning rate in every step.", {}, Run);

}  // namespace lockstep::checks
