// p' = Opt(p, g): every update follows from the parameters, state and clipped gradients that the run itself shows.
//
// AdamW hides a wrong gradient in its update, so the update is not compared with the oracle's: it is replayed in fp64
// from the run's own evidence, element by element, with a bound of a few roundings.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "harness/checks/support/compare.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using oracle::TraceStep;
using oracle::Values;
using protocol::Parameter;
using protocol::RunEvidence;

// One replay: what goes into the update. A wrong update is explained by the replay that gives it.
struct Replayed {
  protocol::Workload workload;
  TraceStep before;
  Values gradients;
  std::int64_t number;
  TraceStep Do() const {
    TraceStep step;
    step.gradients = gradients;
    oracle::Update(workload, before, number, step);
    return step;
  }
};

class OptimizerReplay {
 public:
  OptimizerReplay(const Input& input, Verdict& verdict)
      : input_(input), run_(*input.runs.candidate), verdict_(verdict), parameters_(ParametersOf(input, run_)) {
    states_ = protocol::StateNames(input.workload.optimizer.kind);
  }

  void Run() {
    if (input_.workload.model.kind == protocol::ModelKind::kOwn) {
      throw protocol::BadInput("model", "an own model's update can't be replayed: which parameters decay is not known");
    }
    const protocol::EvidenceWanted& wanted = run_.request().evidence;
    if (!wanted.parameters || !(wanted.clipped_gradients || wanted.gradients) ||
        (!states_.empty() && !wanted.optimizer_state)) {
      throw protocol::BadInput("request",
                               "asks for too little to replay the optimizer: parameters, state and gradients");
    }
    const std::vector<std::int64_t> steps = TensorStepsWithLoaded(run_);
    for (std::size_t i = 1; i < steps.size(); ++i) {
      if (steps[i - 1] + 1 == steps[i] && !Step(steps[i])) return;
    }
  }

 private:
  Replayed Faithful(std::int64_t s) const {
    Replayed replay{input_.workload, {}, {}, s};
    const bool clipped = run_.request().evidence.clipped_gradients;
    if (!clipped && input_.workload.optimizer.clip_norm > 0) {
      throw protocol::BadInput("request", "asks for no clipped gradients, which the replay needs");
    }
    replay.workload.optimizer.clip_norm = 0;  // what goes in is clipped already
    replay.before.parameters = GatherKind(run_, s - 1, "param", parameters_);
    replay.before.state = GatherState(run_, s - 1, input_.workload.optimizer.kind, parameters_);
    replay.gradients = GatherKind(run_, s, clipped ? "clipped" : "grad", parameters_);
    return replay;
  }

  bool Step(std::int64_t s) {
    const Replayed replay = Faithful(s);
    const TraceStep right = replay.Do();
    const Values seen = GatherKind(run_, s, "param", parameters_);
    const Values state = GatherState(run_, s, input_.workload.optimizer.kind, parameters_);
    std::vector<std::string> wrong_states, wrong;
    double worst = 0;
    for (const Parameter& p : parameters_) {
      const auto [parameter, first, second] = WorstOf(p, replay, right, seen, state);
      verdict_.Count(p.size() * static_cast<std::int64_t>(1 + states_.size()));
      if (!(first <= 1)) wrong_states.push_back(p.name + "/" + states_.at(0));
      if (!(second <= 1)) wrong_states.push_back(p.name + "/" + states_.at(1));
      if (!(parameter <= 1)) wrong.push_back(p.name);
      worst = Worse(worst, Worse(parameter, Worse(first, second)));
    }
    verdict_.Measure(worst);
    if (!wrong.empty() || !wrong_states.empty()) Tell(s, replay, right, seen, wrong, wrong_states);
    const bool copies =
        input_.workload.precision != protocol::Precision::kBF16 || Working(s, seen, replay.before.parameters);
    return wrong.empty() && wrong_states.empty() && copies;
  }

  // Largest error over bound: of the parameter, its first and its second state tensor.
  std::array<double, 3> WorstOf(const Parameter& p, const Replayed& replay, const TraceStep& right, const Values& seen,
                                const Values& state) const {
    std::array<double, 3> worst = {0, 0, 0};
    const double u = MasterRoundoff(input_.workload.precision);
    const auto of = [&](const Values& values, std::size_t k, std::size_t i) {
      return k < states_.size() ? values.at(p.name + "/" + states_[k])[i] : 0.0;
    };
    for (std::size_t i = 0; i < static_cast<std::size_t>(p.size()); ++i) {
      UpdateElement e{replay.before.parameters.at(p.name)[i], replay.gradients.at(p.name)[i]};
      e.first = of(replay.before.state, 0, i);
      e.second = of(replay.before.state, 1, i);
      e.updated = right.parameters.at(p.name)[i];
      e.updated_first = of(right.state, 0, i);
      e.updated_second = of(right.state, 1, i);
      e.decayed = p.decayed;
      const UpdateBounds bound = BoundsOfUpdate(input_.workload.optimizer, u, replay.number, right.learning_rate, e);
      const auto keep = [&](std::size_t k, double value, double expected, double limit) {
        const double error = std::fabs(value - expected);
        const double ratio = error == 0 ? 0 : error / limit;
        worst[k] = Worse(worst[k], ratio);
      };
      keep(0, seen.at(p.name)[i], e.updated, bound.parameter);
      if (!states_.empty()) keep(1, of(state, 0, i), e.updated_first, bound.first);
      if (states_.size() > 1) keep(2, of(state, 1, i), e.updated_second, bound.second);
    }
    return worst;
  }

  // The updates of some tensors, p' - p, beside those of a replay.
  Comparison Updates(const Values& seen, const Replayed& faithful, const TraceStep& other,
                     const std::vector<std::string>& names) const {
    Comparison c;
    for (const std::string& name : names) {
      const std::vector<double>& before = faithful.before.parameters.at(name);
      std::vector<double> moved = seen.at(name), due = other.parameters.at(name);
      for (std::size_t i = 0; i < moved.size(); ++i) {
        moved[i] -= before[i];
        due[i] -= before[i];
      }
      c.Add(moved, due);
    }
    return c;
  }

  // Replays that a known fault makes, with its words.
  std::vector<std::pair<std::string, Replayed>> Wrong(std::int64_t s, const Replayed& faithful) const {
    std::vector<std::pair<std::string, Replayed>> all;
    const protocol::Optimizer& optimizer = input_.workload.optimizer;
    if (optimizer.clip_norm > 0 && run_.request().evidence.gradients) {
      all.emplace_back("the update used the unclipped gradient", faithful);
      all.back().second.gradients = GatherKind(run_, s, "grad", parameters_);
    }
    const auto scaled = [&](const std::string& words, double factor) {
      all.emplace_back(words, faithful);
      for (auto& [name, values] : all.back().second.gradients) {
        for (double& g : values) g *= factor;
      }
    };
    if (input_.plan.data > 1) {
      scaled("the update used the gradient x data-parallel degree", static_cast<double>(input_.plan.data));
      scaled("the update used the gradient / data-parallel degree", 1.0 / static_cast<double>(input_.plan.data));
    }
    if (!states_.empty() && s > 1) {
      all.emplace_back("the optimizer's state was taken as zero: moments restarted", faithful);
      for (auto& [name, values] : all.back().second.before.state) std::fill(values.begin(), values.end(), 0.0);
      all.emplace_back("the moments restarted from zero, and so did their step count", all.back().second);
      all.back().second.number = 1;
      all.back().second.workload.optimizer = ConstantRate(s);
    }
    if (optimizer.weight_decay > 0) {
      all.emplace_back("weight decay was left out", faithful);
      all.back().second.workload.optimizer.weight_decay = 0;
    }
    const std::int64_t reach = (s + 1) * std::max<std::int64_t>(2, input_.plan.WorldSize() * input_.plan.micro_batches);
    for (std::int64_t k = 0; k <= reach; ++k) {
      const double rate = protocol::LearningRate(optimizer, k);
      if (k == s || rate == protocol::LearningRate(optimizer, s)) continue;
      all.emplace_back(
          fmt::format("the update used the learning rate of step {}: {:.6g} in place of {:.6g}{}", k, rate,
                      protocol::LearningRate(optimizer, s),
                      k == s * input_.plan.data ? ", the schedule advanced data-parallel degree times a step" : ""),
          faithful);
      all.back().second.workload.optimizer = ConstantRate(k);
    }
    return all;
  }
  // The workload's optimizer with the rate of step k at every step.
  protocol::Optimizer ConstantRate(std::int64_t k) const {
    protocol::Optimizer constant = input_.workload.optimizer;
    constant.clip_norm = 0;
    constant.learning_rate = protocol::LearningRate(input_.workload.optimizer, k);
    constant.warmup_steps = constant.cosine_steps = 0;
    return constant;
  }

  void Tell(std::int64_t s, const Replayed& replay, const TraceStep& right, const Values& seen,
            const std::vector<std::string>& wrong, const std::vector<std::string>& wrong_states) {
    if (!wrong_states.empty()) {
      verdict_.Report(
          {s, "optimizer", "state/" + wrong_states.front(), -1, -1},
          fmt::format("{} of {} state tensors do not follow from the state before and the clipped gradient, "
                      "state/{} first{}",
                      wrong_states.size(), parameters_.size() * states_.size(), wrong_states.front(),
                      Cause(s, replay, right, seen, wrong)));
    }
    if (wrong.empty()) return;
    const Comparison c = Updates(seen, replay, right, wrong);
    verdict_.Report(
        {s, "optimizer", "param/" + wrong.front(), -1, -1},
        fmt::format("{} of {} parameters do not follow from the evidence, param/{} first: update x {:.4f}, rho {}{}",
                    wrong.size(), parameters_.size(), wrong.front(), c.alpha(), Figure(c.rho()),
                    Cause(s, replay, right, seen, wrong)),
        c.alpha(), c.rho());
  }

  std::string Cause(std::int64_t s, const Replayed& replay, const TraceStep& right, const Values& seen,
                    const std::vector<std::string>& wrong) const {
    if (wrong.empty()) return "";
    const double difference = Updates(seen, replay, right, wrong).difference();
    bool still = true;
    for (const std::string& name : wrong) still = still && seen.at(name) == replay.before.parameters.at(name);
    if (still) return ": they did not move at all";
    std::string words;
    double least = difference;
    for (const auto& [what, other] : Wrong(s, replay)) {
      const double residual = Updates(seen, replay, other.Do(), wrong).difference();
      if (!(residual < least) || !Explains(residual, difference, 0, false)) continue;
      least = residual;
      words = ": " + what;
    }
    return words;
  }

  // Only what enters matrix products has a bf16 copy for certain; biases, norms and looked-up embeddings may have none.
  bool IsOfAMatrixProduct(const std::string& name) const {
    if (name == "wte.weight") return input_.workload.model.tied;
    return name.ends_with(".weight") && name != "wpe.weight" && name.find("ln_") == std::string::npos;
  }

  // The bf16 copies of every rank are the masters, rounded. A copy of the masters before the update is stale.
  bool Working(std::int64_t s, const Values& masters, const Values& before) {
    const auto rounded = [](double v) {
      return static_cast<double>(protocol::BFloat16ToFloat(protocol::FloatToBFloat16(static_cast<float>(v))));
    };
    bool right = true;
    std::map<std::string, bool> held;
    for (std::size_t r = 0; r < run_.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      for (const Parameter& p : parameters_) {
        const std::string tensor = "working/" + p.name;
        if (!run_.Step(rank, s).Contains(tensor)) continue;
        held[p.name] = true;
        const protocol::Slice slice = run_.SliceOf(rank, s, tensor);
        std::vector<double> due = ExtractValues(masters.at(p.name), slice),
                            stale = ExtractValues(before.at(p.name), slice);
        for (double& v : due) v = rounded(v);
        for (double& v : stale) v = rounded(v);
        const std::vector<double> copy = run_.Step(rank, s).Load(tensor).ToDoubles();
        verdict_.Count(static_cast<std::int64_t>(copy.size()));
        const auto difference = CompareBits(copy, due);
        if (!difference) continue;
        right = false;
        verdict_.Report(
            {s, "optimizer", tensor, rank, -1},
            fmt::format("{} of {} elements of {} on rank {} are not the master rounded to bf16{}", difference->count,
                        copy.size(), tensor, rank,
                        copy == stale ? ": they are the master of the step before: the copy is stale" : ""));
      }
    }
    if (!right) verdict_.Measure(std::numeric_limits<double>::infinity());
    for (const Parameter& p : parameters_) {
      if (IsOfAMatrixProduct(p.name) && !held[p.name])
        throw protocol::BadInput(fmt::format("step {}: working/{}", s, p.name), "no rank holds it");
    }
    return right;
  }

  const Input& input_;
  const RunEvidence& run_;
  Verdict& verdict_;
  std::vector<Parameter> parameters_;
  std::vector<std::string> states_;
};

protocol::CheckResult Run(const Input& input) {
  Verdict verdict;
  OptimizerReplay(input, verdict).Run();
  return verdict.Finish(1);
}

}  // namespace

extern const Check check_optimizer_replay;
const Check check_optimizer_replay = MakeCheck(
    "optimizer_replay", "exact",
    "Every update follows from the run's own parameters, state and clipped gradient; bf16 copies from their masters.",
    {}, Run);

}  // namespace lockstep::checks
