#include "harness/checks/support/noise.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "harness/checks/support/compare.h"
#include "harness/checks/support/diagnosis.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/hypotheses.h"
#include "harness/checks/support/perturbed.h"
#include "harness/checks/support/tolerance.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using oracle::TraceStep;
using oracle::Values;
using protocol::Divergence;
using protocol::Parameter;
using protocol::RunEvidence;

struct Alarm {
  std::string phase, tensor;  // forward has no tensor
  double ratio = 0;
};

struct Judged {
  std::vector<Alarm> alarms;         // in step order
  std::vector<std::string> vacuous;  // tensors whose reference is all zero
  double worst = 0, typical = 0;
  bool single_is_wrong = false;
  bool Has(const std::string& phase) const {
    return std::any_of(alarms.begin(), alarms.end(), [&](const Alarm& a) { return a.phase == phase; });
  }
};

// One step of a run, gathered; tensors are empty where the request did not ask for them at this step.
struct StepValues {
  double loss = 0;
  Values gradients, parameters;
};

class NoiseRatio {
 public:
  NoiseRatio(const Input& input, const RunEvidence& run, const RunEvidence& single, Verdict& verdict)
      : input_(input), run_(run), single_(single), verdict_(verdict), parameters_(ParametersOf(input, run)) {
    for (const std::int64_t s : TensorSteps(run)) tensor_steps_.push_back(s);
    MeasureSingle();
  }

  void Run() {
    for (std::int64_t s = FirstStep(run_); s <= LastStep(run_); ++s) {
      if (static_cast<std::size_t>(s) >= input_.trace.steps.size()) {
        throw protocol::BadInput("trace", "has no step " + std::to_string(s));
      }
      if (!Step(s)) return;
    }
  }

 private:
  bool HasTensors(std::int64_t s) const {
    return std::find(tensor_steps_.begin(), tensor_steps_.end(), s) != tensor_steps_.end();
  }
  bool ComparesParameters() const {
    return run_.request().evidence.parameters && input_.workload.optimizer.kind != protocol::OptimizerKind::kAdamW;
  }
  const TraceStep& Trace(std::int64_t s) const { return input_.trace.steps.at(static_cast<std::size_t>(s)); }

  StepValues Gathered(const RunEvidence& run, std::int64_t s) const {
    StepValues values;
    values.loss = run.Loss(s);
    if (!HasTensors(s)) return values;
    if (run_.request().evidence.gradients) values.gradients = GatherKind(run, s, "grad", parameters_);
    if (ComparesParameters()) values.parameters = GatherKind(run, s, "param", parameters_);
    return values;
  }

  std::vector<TensorNoise> Noise(const Values& single, const Values& single_reference, const Values& reference) const {
    std::vector<TensorNoise> noise;
    for (const Parameter& p : parameters_) {
      Comparison c;
      c.Add(single.at(p.name), single_reference.at(p.name));
      noise.push_back({p.size(), Norm(reference.at(p.name)), c.difference(), 0});
    }
    return noise;
  }

  // The single run's relative noise over all steps: what a small tensor and a loss are judged by.
  void MeasureSingle() {
    for (std::int64_t s = FirstStep(run_); s <= LastStep(run_); ++s) {
      const StepValues values = Gathered(single_, s);
      const double relative = std::fabs(values.loss - Trace(s).loss) / std::fabs(Trace(s).loss);
      if (std::isfinite(relative)) loss_largest_ = std::max(loss_largest_, relative);
      const auto keep = [&](const std::string& kind, const Values& single, const Values& reference) {
        if (single.empty()) return;
        const std::vector<TensorNoise> noise = Noise(single, reference, reference);
        for (std::size_t i = 0; i < noise.size(); ++i) {
          double& largest = largest_[kind + "/" + parameters_[i].name];
          const double value = noise[i].single / noise[i].reference;
          if (std::isfinite(value)) largest = std::max(largest, value);
        }
      };
      keep("grad", values.gradients, Trace(s).gradients);
      keep("param", values.parameters, Trace(s).parameters);
    }
  }

  void JudgeKind(const std::string& kind, const Values& candidate, const Values& reference,
                 std::vector<TensorNoise> noise, const NoiseScale& scale, const std::vector<const Values*>& perturbed,
                 Judged& judged) const {
    const std::string phase = kind == "grad" ? "backward" : "optimizer";
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const std::string& name = parameters_[i].name;
      noise[i].largest_relative = largest_.at(kind + "/" + name);
      Comparison c;
      c.Add(candidate.at(name), reference.at(name));
      if (noise[i].reference == 0) {  // R would divide by nothing
        if (NeverMoves(kind, name)) judged.vacuous.push_back(kind + "/" + name);
        if (!(c.difference() <= 0)) judged.alarms.push_back({phase, name, c.difference()});
        continue;
      }
      double inherent = scale.Of(noise[i]);
      for (const Values* other : perturbed) {
        Comparison moved;
        moved.Add(other->at(name), reference.at(name));
        inherent = Worse(inherent, moved.difference());
      }
      const double ratio = c.difference() / inherent;
      judged.worst = Worse(judged.worst, ratio);
      if (!(ratio <= kTau)) judged.alarms.push_back({phase, name, ratio});
    }
  }

  // A tensor whose reference is zero in every step: no step of this workload puts it to the test. (Zero in some steps
  // is what dead activations, or a batch without a valid target, give; there the candidate must be zero too.)
  bool NeverMoves(const std::string& kind, const std::string& name) const {
    for (std::int64_t s = FirstStep(run_); s <= LastStep(run_); ++s) {
      const Values& values = kind == "grad" ? Trace(s).gradients : Trace(s).parameters;
      if (Norm(values.at(name)) > 0) return false;
    }
    return true;
  }

  // What a step is compared with: the right step, for the single run too, and how many steps have drifted since they
  // were the same; on a last look also the steps that rounding could have made of it.
  struct Reference {
    const TraceStep* right = nullptr;
    const TraceStep* single_right = nullptr;
    std::int64_t drift_steps = 1;
    std::vector<TraceStep> perturbed;
  };

  Judged Judge(std::int64_t s, const StepValues& candidate, const StepValues& single, const Reference& to) const {
    Judged judged;
    const protocol::Precision precision = input_.workload.precision;
    const double compute = ComputeRoundoff(precision);
    judged.typical = compute;
    Judged tensors = judged;
    std::vector<const Values*> gradients, parameters;
    double loss_moves = 0;
    for (const TraceStep& p : to.perturbed) {
      gradients.push_back(&p.gradients);
      parameters.push_back(&p.parameters);
      loss_moves = Worse(loss_moves, std::fabs(p.loss - to.right->loss));
    }
    if (!candidate.gradients.empty()) {
      const auto noise = Noise(single.gradients, to.single_right->gradients, to.right->gradients);
      const NoiseScale scale(noise, compute, to.drift_steps);
      judged.typical = scale.typical();
      judged.single_is_wrong = scale.single_is_wrong();
      JudgeKind("grad", candidate.gradients, to.right->gradients, noise, scale, gradients, tensors);
    }
    if (!candidate.parameters.empty()) {
      const auto noise = Noise(single.parameters, to.single_right->parameters, to.right->parameters);
      const NoiseScale scale(noise, MasterRoundoff(precision), to.drift_steps);
      JudgeKind("param", candidate.parameters, to.right->parameters, noise, scale, parameters, tensors);
    }
    const double loss_error = std::fabs(candidate.loss - to.right->loss);
    const double loss_noise =
        Worse(loss_moves, LossNoise(to.right->loss, loss_largest_, Trace(s).valid_tokens, judged.typical, precision));
    const double loss_ratio = loss_error == 0 ? 0 : loss_error / loss_noise;
    if (!(loss_ratio <= kTau)) judged.alarms.push_back({"forward", "", loss_ratio});
    judged.worst = Worse(tensors.worst, loss_ratio);
    judged.vacuous = tensors.vacuous;
    judged.alarms.insert(judged.alarms.end(), tensors.alarms.begin(), tensors.alarms.end());
    return judged;
  }

  // What a run held before a step, and the step made anew by the oracle from it.
  TraceStep HeldBefore(const RunEvidence& run, std::int64_t s) const {
    TraceStep held;
    held.parameters = GatherKind(run, s - 1, "param", parameters_);
    if (ComparesParameters()) {
      held.state = GatherState(run, s - 1, input_.workload.optimizer.kind, parameters_);
    }
    return held;
  }
  TraceStep MadeFrom(const TraceStep& held, std::int64_t s) const {
    TraceStep step = oracle::LossAndGradients(input_.workload, input_.inputs, held.parameters, s);
    if (ComparesParameters()) oracle::Update(input_.workload, held, s, step);
    return step;
  }
  bool OracleKnowsTheModel() const { return input_.workload.model.kind != protocol::ModelKind::kOwn; }
  bool CanAnchor(std::int64_t s) const {
    const protocol::EvidenceWanted& wanted = run_.request().evidence;
    const bool state = wanted.optimizer_state || !ComparesParameters() ||
                       input_.workload.optimizer.kind == protocol::OptimizerKind::kSgd;
    const auto held = [&](const RunEvidence& run) {
      const std::vector<std::int64_t> steps = TensorStepsWithLoaded(run);
      return std::find(steps.begin(), steps.end(), s - 1) != steps.end();
    };
    return s > 1 && OracleKnowsTheModel() && wanted.parameters && state && held(run_) && held(single_);
  }

  bool Step(std::int64_t s) {
    const StepValues candidate = Gathered(run_, s);
    const StepValues single = Gathered(single_, s);
    verdict_.Count(1);
    for (const Values* values : {&candidate.gradients, &candidate.parameters}) {
      for (const auto& [name, v] : *values) verdict_.Count(static_cast<std::int64_t>(v.size()));
    }
    Reference to{&Trace(s), &Trace(s), s, {}};
    TraceStep right, single_right, held = Trace(s - 1);
    Judged judged = Judge(s, candidate, single, to);
    if (!judged.alarms.empty() && CanAnchor(s)) {
      held = HeldBefore(run_, s);
      right = MadeFrom(held, s);
      single_right = MadeFrom(HeldBefore(single_, s), s);
      to = {&right, &single_right, 1, {}};
      judged = Judge(s, candidate, single, to);
    }
    if (!judged.alarms.empty() && OracleKnowsTheModel()) {
      to.perturbed = PerturbedSteps(input_.workload, input_.inputs, held, s, ComputeRoundoff(input_.workload.precision),
                                    ComparesParameters());
      judged = Judge(s, candidate, single, to);
    }
    verdict_.Measure(judged.worst);
    for (const std::string& tensor : judged.vacuous) {
      verdict_.Report({s, "backward", tensor, -1, -1},
                      "vacuous: the oracle's " + tensor + " is all zero in every step, so nothing puts it to the test");
    }
    if (!judged.alarms.empty()) Tell(s, candidate, *to.right, judged);
    CheckCoarse(s, candidate, *to.right);
    return judged.alarms.empty() && judged.vacuous.empty();
  }

  // Share of elements that carry no more than 12 bits of fp32's 24.
  static double CoarseShare(const Values& values) {
    std::int64_t coarse = 0, all = 0;
    for (const auto& [name, v] : values) {
      for (const double x : v) {
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x));
        if ((bits & 0x7fffffffu) == 0) continue;
        ++all;
        coarse += (bits & 0xfffu) == 0 ? 1 : 0;
      }
    }
    return all == 0 ? 0 : static_cast<double>(coarse) / static_cast<double>(all);
  }
  void CheckCoarse(std::int64_t s, const StepValues& candidate, const TraceStep& reference) {
    if (input_.workload.precision != protocol::Precision::kBF16 || run_.request().plan.micro_batches < 2) return;
    const double share = CoarseShare(candidate.gradients);
    if (share <= kCoarseShare || CoarseShare(reference.gradients) > kCoarseShare) return;
    verdict_.Report(
        {s, "backward", "", -1, -1},
        fmt::format("{:.1f}% of the gradients' elements are no finer than bf16: micro-batches are accumulated in"
                    " bf16, where sums are asked for in fp32",
                    100 * share));
  }

  void Tell(std::int64_t s, const StepValues& candidate, const TraceStep& reference, const Judged& judged);
  std::int64_t RankOf(const Explanation& cause) const;
  std::optional<Explanation> Cause(std::int64_t s, const StepValues& candidate, const Judged& judged,
                                   const std::vector<std::string>& wrong, StepCounts& counts) const;

  const Input& input_;
  const RunEvidence& run_;
  const RunEvidence& single_;
  Verdict& verdict_;
  std::vector<Parameter> parameters_;
  std::vector<std::int64_t> tensor_steps_;
  std::map<std::string, double> largest_;
  double loss_largest_ = 0;
};

std::vector<std::string> Tensors(const Judged& judged, const std::string& phase) {
  std::vector<std::string> names;
  for (const Alarm& a : judged.alarms) {
    if (a.phase == phase) names.push_back(a.tensor);
  }
  return names;
}

std::optional<Explanation> NoiseRatio::Cause(std::int64_t s, const StepValues& candidate, const Judged& judged,
                                             const std::vector<std::string>& wrong, StepCounts& counts) const {
  if (input_.workload.model.kind == protocol::ModelKind::kOwn) return std::nullopt;
  const bool anchored = CanAnchor(s);
  const Values before = anchored ? GatherKind(run_, s - 1, "param", parameters_) : Trace(s - 1).parameters;
  const Values* older = s > 1 ? &Trace(s - 2).parameters : nullptr;
  const Replay replay(input_.workload, run_.request().plan, input_.inputs, s, before, older);
  counts = {replay.batch_size(), replay.valid(), {}};
  for (std::int64_t d = 0; d < replay.plan().data; ++d) counts.valid_of_replica.push_back(replay.ValidOf(d));
  std::vector<Observed> gradients;
  for (const Parameter& p : parameters_) {
    if (std::find(wrong.begin(), wrong.end(), p.name) == wrong.end()) continue;
    gradients.push_back({p.name, protocol::Slice::Whole(p.shape), candidate.gradients.at(p.name)});
  }
  std::optional<Explanation> found;
  if (!gradients.empty()) found = Explain(replay, gradients, judged.typical);
  if (!found && judged.Has("forward")) found = ExplainLoss(replay, candidate.loss, gradients, judged.typical);
  return found;
}

// The first rank of the replica that it accuses; of a link the one that it leads to. -1: none computes that.
std::int64_t NoiseRatio::RankOf(const Explanation& cause) const {
  const protocol::Request& request = run_.request();
  if (cause.stage < 0) return request.plan.RankOf({cause.data, 0, 0});
  const auto computes = [&](const protocol::Action& action) {  // some schedules hold a stage twice
    return action.stage == cause.stage && action.micro_batch == cause.micro_batch;
  };
  for (std::int64_t pipeline = 0; pipeline < request.plan.pipeline; ++pipeline) {
    const std::vector<protocol::Action>& line = request.schedule.ranks.at(static_cast<std::size_t>(pipeline));
    if (std::any_of(line.begin(), line.end(), computes)) return request.plan.RankOf({cause.data, pipeline, 0});
  }
  return -1;
}

void NoiseRatio::Tell(std::int64_t s, const StepValues& candidate, const TraceStep& reference, const Judged& judged) {
  const std::vector<std::string> gradients = Tensors(judged, "backward"), updated = Tensors(judged, "optimizer");
  const bool loss_wrong = judged.Has("forward");
  Divergence at{s, judged.alarms.front().phase, "", -1, -1};
  std::string words;
  if (loss_wrong) {
    words = fmt::format("loss {:.9g}, right {:.9g}, off by {}", candidate.loss, reference.loss,
                        Figure(candidate.loss - reference.loss));
  }
  Comparison c;
  const bool backward = !gradients.empty();
  const std::vector<std::string>& wrong = backward ? gradients : updated;
  for (const std::string& name : wrong) {
    if (backward) c.Add(candidate.gradients.at(name), reference.gradients.at(name));
    if (!backward) c.Add(candidate.parameters.at(name), reference.parameters.at(name));
  }
  StepCounts counts;
  std::optional<Explanation> cause;
  if (loss_wrong || backward) cause = Cause(s, candidate, judged, gradients, counts);
  std::optional<double> alpha, rho;
  const auto add = [&](const std::string& more) { words += (words.empty() || more.empty() ? "" : "; ") + more; };
  if (!wrong.empty()) {
    alpha = c.alpha();
    rho = c.rho();
    at.tensor = FirstInBackwardOrder(wrong, parameters_);
    const std::string scale =
        ScaleWords(backward ? "gradients" : "parameters", *alpha, *rho, judged.typical, run_.request().plan, counts);
    add(scale.empty() ? fmt::format("{} off by {} of their norm, no plain factor: alpha {:.4f}, rho {}",
                                    backward ? "gradients" : "parameters", Figure(c.relative()), *alpha, Figure(*rho))
                      : scale);
  }
  if (cause) {
    if (!loss_wrong) at.phase = cause->phase;
    if (cause->data >= 0) at.rank = RankOf(*cause);
    at.micro_batch = cause->micro_batch;
    add(cause->words);
  }
  add(SetWords(wrong, parameters_, input_.workload, run_.request().plan, !loss_wrong));
  if (judged.single_is_wrong) {
    add("the single run is itself far from the oracle, so its noise is taken no larger than its type allows");
  }
  add(fmt::format("R = {} of at most {}", Figure(judged.worst), kTau));
  verdict_.Report(at, words, alpha, rho);
}

}  // namespace

void CompareToNoise(const Input& input, const RunEvidence& run, const RunEvidence& single, Verdict& verdict) {
  NoiseRatio(input, run, single, verdict).Run();
}

}  // namespace lockstep::checks
