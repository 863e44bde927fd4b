// Where the time went: what each rank tells of its steps adds up to them, and every delay that was made on purpose is
// charged to the rank and operation that had it, and to nobody else.
//
// A machine that has other things to do makes operations longer, too. So the same delay is asked for in several steps
// and judged by its median, and what nobody asked for in steps without any is the noise that a charge may be off by. In
// a delay's steps nobody else may mostly stand out: a rank that waits for a slow one, and counts that as its own work,
// would be taken for a second culprit. What ranks measured is joined and attributed as `lockstep stalls` does it.
#include "harness/stalls/attribution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

namespace {

using stalls::Attribution;
using stalls::RankStep;

struct Operation {
  std::int64_t rank = 0;
  std::string name;  // as in a delay
  auto operator<=>(const Operation&) const = default;
};
std::string Words(const Operation& operation) { return fmt::format("rank {}: {}", operation.rank, operation.name); }

struct Due {
  double seconds = 0;
  std::int64_t sleeps = 0;
  bool always = false;  // in every step: then part of it is what is usual
  auto operator<=>(const Due&) const = default;
};
using DueOfStep = std::map<Operation, Due>;

// Delays of every step count from the first counted one on: before, the trainer warms up.
std::map<std::int64_t, DueOfStep> DueOf(const protocol::Request& request, const stalls::Run& run) {
  std::map<std::int64_t, DueOfStep> due;
  for (const protocol::Delay& delay : request.delays) {
    const bool always = delay.step == 0;
    const std::int64_t first = always ? stalls::FirstCountedStep(run) : delay.step;
    const std::int64_t sleeps = protocol::SleepsInStep(delay, request.plan, request.schedule);
    for (std::int64_t step = first; step <= (always ? run.last_step : delay.step); ++step) {
      Due& of = due[step][{delay.rank, delay.operation}];
      of.seconds += delay.seconds * static_cast<double>(sleeps);
      of.sleeps += sleeps;
      of.always = of.always || always;
    }
  }
  return due;
}

// Seconds by which operations took longer, in a step or in all of them.
class Charged {
 public:
  explicit Charged(const Attribution& attribution) {
    const std::vector<std::string>& known = protocol::DelayOperations();
    for (const stalls::Cause& cause : attribution.causes) {
      const stalls::Operation& operation = cause.operation;
      if (std::find(known.begin(), known.end(), operation.name) == known.end()) continue;  // a message on its way
      const Operation named{operation.rank, operation.name};
      (cause.usual ? usual_[named] : of_step_[operation.step][named]) += cause.excess;
    }
  }
  double To(const Operation& operation, std::int64_t step, bool always) const {
    const auto found = of_step_.find(step);
    const double once = found == of_step_.end() ? 0 : In(found->second, operation);
    return once + (always ? In(usual_, operation) : 0);
  }
  // Of everybody who was charged in one of the steps.
  std::set<Operation> In(const std::vector<std::int64_t>& steps) const {
    std::set<Operation> all;
    for (const std::int64_t step : steps) {
      const auto found = of_step_.find(step);
      if (found == of_step_.end()) continue;
      for (const auto& [operation, seconds] : found->second) all.insert(operation);
    }
    for (const auto& [operation, seconds] : usual_) all.insert(operation);
    return all;
  }
  // The largest charge of a step from `first` on in which nobody was delayed.
  double Noise(std::int64_t first, const std::map<std::int64_t, DueOfStep>& due) const {
    double largest = 0;
    for (const auto& [step, operations] : of_step_) {
      if (step < first || due.contains(step)) continue;
      for (const auto& [operation, seconds] : operations) largest = std::max(largest, seconds);
    }
    return largest;
  }

 private:
  using Excess = std::map<Operation, double>;
  static double In(const Excess& excess, const Operation& operation) {
    const auto found = excess.find(operation);
    return found == excess.end() ? 0 : found->second;
  }
  std::map<std::int64_t, Excess> of_step_;
  Excess usual_;
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double Sum(const stalls::Seconds& seconds) { return std::accumulate(seconds.begin(), seconds.end(), 0.0); }

std::string Milliseconds(double seconds) { return fmt::format("{:.2f} ms", seconds * 1e3); }

void HoldSums(const protocol::RunEvidence& run, const Attribution& attribution, Verdict* verdict) {
  for (const RankStep& each : attribution.steps) {
    const double sum = Sum(each.seconds), said = StepEventOf(run, each.rank, each.step).wall_seconds;
    const double off = std::max(std::fabs(sum - each.wall), std::fabs(sum - said)) / said;
    verdict->Count(1);
    verdict->Measure(off / kSumToWall);
    if (off <= kSumToWall) continue;
    verdict->Report({each.step, "time", "", each.rank, -1},
                    fmt::format("what rank {} tells of step {} adds up to {}, and the step took {}", each.rank,
                                each.step, Milliseconds(sum), Milliseconds(said)));
  }
}

void HoldUnattributed(const stalls::Run& run, const Attribution& attribution, Verdict* verdict) {
  const std::int64_t first = stalls::FirstCountedStep(run);
  for (const RankStep& sum : stalls::SumOverSteps(attribution, first)) {
    const double share = sum.seconds[static_cast<std::size_t>(stalls::Category::kUnattributed)] / sum.wall;
    verdict->Count(1);
    verdict->Measure(share / kUnattributed);
    if (share <= kUnattributed) continue;
    verdict->Report({first, "time", "", sum.rank, -1},
                    fmt::format("{:.1f}% of rank {}'s time is told by nothing, and {:.0f}% at most may be", 100 * share,
                                sum.rank, 100 * kUnattributed));
  }
}

class DelayJudge {
 public:
  DelayJudge(const Charged& charged, const std::map<std::int64_t, DueOfStep>& due, double noise, Verdict* verdict)
      : charged_(charged), due_(due), noise_(noise), verdict_(verdict) {}

  // The same operation made as much longer in all of these steps.
  void Hold(const Operation& operation, const Due& due, const std::vector<std::int64_t>& steps) {
    const double seconds = MostlyTo(operation, due, steps), off = std::fabs(seconds - due.seconds);
    const double bound = ChargeBound(due.seconds, due.sleeps, noise_);
    verdict_->Count(std::ssize(steps));
    verdict_->Measure(off / bound);
    if (off > bound) {
      verdict_->Report({steps.front(), "time", "", operation.rank, -1},
                       fmt::format("{} was made {} longer in step{} {}, and {} are charged to it (noise {})",
                                   Words(operation), Milliseconds(due.seconds), steps.size() > 1 ? "s" : "",
                                   List(steps), Milliseconds(seconds), Milliseconds(noise_)));
    }
    for (const Operation& other : charged_.In(steps)) {
      const auto delayed = [&](std::int64_t step) { return due_.at(step).contains(other); };
      if (std::any_of(steps.begin(), steps.end(), delayed)) continue;
      const double more = MostlyTo(other, due, steps), allowed = kBystander * due.seconds;
      verdict_->Measure(more / allowed);
      if (more <= allowed) continue;
      verdict_->Report({steps.front(), "time", "", other.rank, -1},
                       fmt::format("{} is charged with {} too, in the step{} {} that {} was made {} longer",
                                   Words(other), Milliseconds(more), steps.size() > 1 ? "s" : "", List(steps),
                                   Words(operation), Milliseconds(due.seconds)));
    }
  }

 private:
  double MostlyTo(const Operation& operation, const Due& due, const std::vector<std::int64_t>& steps) const {
    std::vector<double> charges;
    for (const std::int64_t step : steps) charges.push_back(charged_.To(operation, step, due.always));
    return Median(std::move(charges));
  }

  const Charged& charged_;
  const std::map<std::int64_t, DueOfStep>& due_;
  double noise_;
  Verdict* verdict_;
};

void HoldDelays(const protocol::Request& request, const stalls::Run& run, const Attribution& attribution,
                Verdict* verdict) {
  const std::map<std::int64_t, DueOfStep> due = DueOf(request, run);
  std::map<std::pair<Operation, Due>, std::vector<std::int64_t>> alike;
  for (const auto& [step, operations] : due) {
    for (const auto& [operation, of] : operations) alike[{operation, of}].push_back(step);
  }
  const Charged charged(attribution);
  DelayJudge judge(charged, due, charged.Noise(stalls::FirstCountedStep(run), due), verdict);
  for (const auto& [what, steps] : alike) judge.Hold(what.first, what.second, steps);
}

protocol::CheckResult Run(const Input& input) {
  const protocol::RunEvidence& candidate = *input.runs.candidate;
  const protocol::Request& request = candidate.request();
  const stalls::Run run = stalls::Join(request.id, request.plan, request.schedule, candidate.Timelines());
  const Attribution attribution = stalls::Attribute(run);
  Verdict verdict;
  for (const std::string& doubt : run.doubts) verdict.Report({run.first_step, "time", "", -1, -1}, doubt);
  HoldSums(candidate, attribution, &verdict);
  HoldUnattributed(run, attribution, &verdict);
  HoldDelays(request, run, attribution, &verdict);
  return verdict.Finish(1);
}

}  // namespace

extern const Check check_attribution;
const Check check_attribution = MakeCheck(
    "attribution", "time",
    "Time adds up to each step, and each delay is charged to who had it; the largest part of its bound.", {}, Run);

}  // namespace lockstep::checks
