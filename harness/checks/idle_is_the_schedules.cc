// Principle 8: where all links are properly connected, what idle time is left is the schedule's own.
//
// The bubble is what the formula allows with the durations measured, and waits for anything else are a small part of
// the time. Otherwise the one who was waited for most is named: a link, or an operation of a rank.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"
#include "harness/stalls/advice.h"
#include "harness/stalls/attribution.h"

namespace lockstep::checks {

namespace {

using stalls::Category;
using stalls::RankStep;

double Of(const RankStep& sum, Category category) { return sum.seconds[static_cast<std::size_t>(category)]; }

double ForeignIdle(const RankStep& sum) {
  double seconds = 0;
  for (const Category category : stalls::AllCategories()) {
    if (stalls::IsIdle(category) && category != Category::kBubble) seconds += Of(sum, category);
  }
  return seconds;
}

// The link or operation for which others waited longest in all counted steps, and how long.
std::string MostWaitedFor(const stalls::Attribution& attribution, std::int64_t first, double steps) {
  std::map<stalls::Operation, double> waited;
  for (const stalls::Cause& cause : attribution.causes) {
    if (!cause.usual && cause.operation.step < first) continue;
    stalls::Operation operation = cause.operation;
    operation.step = -1;
    waited[operation] += cause.others_waited * (cause.usual ? steps : 1);
  }
  const auto most =
      std::max_element(waited.begin(), waited.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == waited.end()) return "nobody in particular";
  return fmt::format("{} ({:.1f} ms a step, of all ranks)", stalls::ToString(most->first), most->second / steps * 1e3);
}

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& candidate = *input.runs.candidate;
  const protocol::Request& request = candidate.request();
  const stalls::Run run = stalls::Join(request.id, request.plan, request.schedule, candidate.Timelines());
  const stalls::Attribution attribution = stalls::Attribute(run);
  const stalls::Allowance allowance = stalls::AllowanceOf(run, attribution);
  const std::int64_t first = stalls::FirstCountedStep(run);
  const auto steps = static_cast<double>(run.last_step - first + 1);
  Verdict verdict;
  for (const RankStep& sum : stalls::SumOverSteps(attribution, first)) {
    const double allowed = allowance.idle.at(static_cast<std::size_t>(request.plan.At(sum.rank).pipeline)) * steps;
    const double bubble = Of(sum, Category::kBubble), foreign = ForeignIdle(sum);
    const double share = std::max(std::fabs(bubble - allowed), foreign) / sum.wall;
    verdict.Count(1);
    verdict.Measure(share);
    if (share <= kForeignIdle) continue;
    verdict.Report({first, "time", "", sum.rank, -1},
                   fmt::format("rank {} waits {:.1f}% of its time beyond the schedule's own, and its bubble is {:.1f}% "
                               "of it where {} allows {:.1f}%; most waited for: {}",
                               sum.rank, 100 * foreign / sum.wall, 100 * bubble / sum.wall,
                               allowance.formula.empty() ? run.schedule.name : allowance.formula,
                               100 * allowed / sum.wall, MostWaitedFor(attribution, first, steps)));
  }
  return verdict.Finish(kForeignIdle);
}

}  // namespace

extern const Check check_idle_is_the_schedules;
const Check check_idle_is_the_schedules = MakeCheck(
    "idle_is_the_schedules", "time",
    "Ranks wait as long as the schedule's formula says, and a small part of the time for anything else.", {}, Run);

}  // namespace lockstep::checks
