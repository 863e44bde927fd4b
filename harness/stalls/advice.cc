#include "harness/stalls/advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/generate.h"
#include "harness/schedule/simulate.h"
#include "harness/stalls/durations.h"

namespace lockstep::stalls {
namespace {

using schedule::Costs;
using schedule::Generator;
using schedule::PerStage;
using schedule::Simulation;

constexpr double kLongestTicks = 1e6;      // of an operation: fine enough, and sums stay far from the limit
constexpr std::size_t kMostSchedules = 2;  // advised

// Seconds of a stage's operations; one stage where all are alike.
struct Stages {
  std::vector<double> forward, backward, input_gradient, weight_gradient;
};

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

Stages MedianStages(const Run& run, const Attribution& attribution) {
  std::map<std::pair<std::string, std::int64_t>, double> medians;
  for (const UsualDuration& usual : attribution.usual) {
    double& median = medians[{usual.name, usual.stage}];
    median = median == 0 ? usual.median : std::min(median, usual.median);  // of a stage on several ranks
  }
  Stages stages;
  for (std::int64_t stage = 0; stage < run.schedule.stages; ++stage) {
    const double whole = medians[{"B", stage}];
    double input = medians[{"I", stage}], weight = medians[{"W", stage}];
    if (input == 0 && weight == 0) input = weight = whole / 2;
    stages.forward.push_back(medians[{"F", stage}]);
    stages.input_gradient.push_back(input);
    stages.weight_gradient.push_back(weight);
    stages.backward.push_back(whole > 0 ? whole : input + weight);
  }
  return stages;
}

// The same work on `count` stages, dealt evenly.
Stages Even(const Stages& stages, std::int64_t count) {
  const double part = static_cast<double>(stages.forward.size()) / static_cast<double>(count);
  Stages even;
  for (auto list : {&Stages::forward, &Stages::backward, &Stages::input_gradient, &Stages::weight_gradient}) {
    (even.*list).assign(static_cast<std::size_t>(count), Mean(stages.*list) * part);
  }
  return even;
}

double Longest(const Stages& stages) {
  double longest = 0;
  for (const auto* list : {&stages.forward, &stages.backward, &stages.input_gradient, &stages.weight_gradient}) {
    for (const double seconds : *list) longest = std::max(longest, seconds);
  }
  return longest;
}

struct Simulated {
  Simulation simulation;
  double tick = 0;  // seconds
  double Makespan() const { return static_cast<double>(simulation.makespan) * tick; }
  std::int64_t Peak() const {
    std::int64_t peak = 0;
    for (const auto& rank : simulation.ranks) peak = std::max(peak, rank.peak_activations);
    return peak;
  }
};

Simulated Simulate(const protocol::Schedule& schedule, const Stages& stages) {
  Simulated result;
  result.tick = std::max(Longest(stages) / kLongestTicks, 1e-12);
  const auto ticks = [&](const std::vector<double>& seconds) {
    PerStage list;
    for (const double each : seconds) list.push_back(std::llround(each / result.tick));
    return list;
  };
  Costs costs;
  costs.forward = ticks(stages.forward);
  costs.backward = ticks(stages.backward);
  costs.input_gradient = ticks(stages.input_gradient);
  costs.weight_gradient = ticks(stages.weight_gradient);
  result.simulation = schedule::Simulate(schedule, costs, {});
  return result;
}

const Generator* GeneratorNamed(const std::string& name) {
  for (const Generator* each : schedule::AllGenerators()) {
    if (each->name == name) return each;
  }
  return nullptr;
}

class Adviser {
 public:
  Adviser(const Run& run, const Attribution& attribution, const Limits& limits)
      : run_(run),
        limits_(limits),
        attribution_(attribution),
        measured_(MedianStages(run, attribution)),
        now_(Simulate(run.schedule, Even(measured_, run.schedule.stages))) {}

  std::vector<Advice> Give() {
    TrySchedules();
    Sort();
    if (advice_.size() > kMostSchedules) advice_.resize(kMostSchedules);
    TryPartition();
    TryMicroBatches();
    TryLinks();
    Sort();
    return std::move(advice_);
  }

 private:
  void Offer(const std::string& what, double seconds, const std::string& price) {
    if (seconds > 0 && seconds >= limits_.least) advice_.push_back({what, seconds, price});
  }

  void Sort() {
    std::stable_sort(advice_.begin(), advice_.end(),
                     [](const Advice& a, const Advice& b) { return a.seconds > b.seconds; });
  }

  void TryPartition() {
    if (run_.schedule.stages < 2) return;
    Offer("a partition into stages of equal length", Simulate(run_.schedule, measured_).Makespan() - now_.Makespan(),
          "");
  }

  std::int64_t ranks() const { return static_cast<std::int64_t>(run_.schedule.ranks.size()); }

  std::string Memory(std::int64_t peak, double size, double size_now) const {
    const double ratio = static_cast<double>(peak) * size / (static_cast<double>(now_.Peak()) * size_now);
    if (std::abs(ratio - 1) < 0.005) return "";
    return fmt::format("peak of activations {:.2g} times as high", ratio);
  }

  void TrySchedules() {
    if (ranks() < 2) return;
    const auto stages_now = static_cast<double>(run_.schedule.stages);
    for (const Generator* generator : schedule::AllGenerators()) {
      for (std::int64_t chunks = generator->min_chunks; chunks <= std::min<std::int64_t>(generator->max_chunks, 2);
           ++chunks) {
        const schedule::Shape shape{ranks(), chunks, run_.schedule.micro_batches};
        if (!schedule::WhyNot(*generator, shape).empty()) continue;
        if (limits_.units > 0 && limits_.units < chunks * ranks()) continue;
        if (generator->name == run_.schedule.name && chunks * ranks() == run_.schedule.stages) continue;
        const protocol::Schedule other = schedule::Generate(*generator, shape, "advice");
        const Simulated simulated = Simulate(other, Even(measured_, other.stages));
        const std::string words = chunks > 1 ? fmt::format(" with {} chunks a rank", chunks) : "";
        Offer("schedule " + generator->name + words, now_.Makespan() - simulated.Makespan(),
              Memory(simulated.Peak(), 1.0 / static_cast<double>(other.stages), 1.0 / stages_now));
      }
    }
  }

  void TryMicroBatches() {
    const Generator* generator = GeneratorNamed(run_.schedule.name);
    const std::int64_t twice = 2 * run_.schedule.micro_batches;
    if (generator == nullptr || ranks() < 2 || (limits_.samples > 0 && limits_.samples < twice)) return;
    const schedule::Shape shape{ranks(), run_.schedule.stages / ranks(), twice};
    if (!schedule::WhyNot(*generator, shape).empty()) return;
    Stages half = Even(measured_, run_.schedule.stages);
    for (auto list : {&Stages::forward, &Stages::backward, &Stages::input_gradient, &Stages::weight_gradient}) {
      for (double& seconds : half.*list) seconds /= 2;
    }
    const Simulated simulated = Simulate(schedule::Generate(*generator, shape, "advice"), half);
    Offer(fmt::format("{} micro-batches of half the size in place of {}", twice, run_.schedule.micro_batches),
          now_.Makespan() - simulated.Makespan(), Memory(simulated.Peak(), 0.5, 1));
  }

  // What links usually cost the step by holding somebody up; not by simulation, but by the replays.
  void TryLinks() {
    double seconds = 0;
    for (const Cause& cause : attribution_.causes) {
      if (cause.usual && cause.category == Category::kTransfer) seconds += cause.step_cost;
    }
    Offer("messages that arrive at once (at most)", seconds, "");
  }

  const Run& run_;
  const Limits limits_;
  const Attribution& attribution_;
  Stages measured_;
  Simulated now_;  // what runs now, its stages made even
  std::vector<Advice> advice_;
};

Stages UniformStages(const Run& run, const Attribution& attribution) {
  Stages stages = MedianStages(run, attribution);
  for (auto list : {&Stages::forward, &Stages::backward, &Stages::input_gradient, &Stages::weight_gradient}) {
    (stages.*list).assign((stages.*list).size(), LowerMedian(stages.*list));
  }
  return stages;
}

std::string FormulaOf(const Run& run) {
  const Generator* generator = GeneratorNamed(run.schedule.name);
  if (generator == nullptr || !generator->closed_form || run.schedule.ranks.size() < 2) return "";
  const auto ranks = static_cast<std::int64_t>(run.schedule.ranks.size());
  const schedule::Shape shape{ranks, run.schedule.stages / ranks, run.schedule.micro_batches};
  const auto form = generator->closed_form(shape, {});
  return form ? form->idle_text : "";
}

}  // namespace

Allowance AllowanceOf(const Run& run, const Attribution& attribution) {
  const Simulated simulated = Simulate(run.schedule, UniformStages(run, attribution));
  Allowance allowance;
  allowance.formula = FormulaOf(run);
  allowance.makespan = simulated.Makespan();
  for (const auto& rank : simulated.simulation.ranks) {
    allowance.idle.push_back(static_cast<double>(rank.makespan_idle) * simulated.tick);
  }
  if (allowance.makespan > 0) allowance.ratio = Mean(allowance.idle) / allowance.makespan;
  return allowance;
}

std::vector<Advice> AdviceFor(const Run& run, const Attribution& attribution, const Limits& limits) {
  return Adviser(run, attribution, limits).Give();
}

}  // namespace lockstep::stalls
