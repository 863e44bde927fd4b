// B0: whatever two ranks both hold they hold alike, to the last bit; and they report the same figures.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/checks/support/compare.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/hypotheses.h"
#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using protocol::RunEvidence;
using protocol::Slice;

// What one rank holds of a tensor, beside what lower ranks hold of the same elements.
struct Disagreement {
  std::int64_t rank = 0, other = 0;   // the one further from the oracle, and the nearer one
  std::int64_t count = 0, first = 0;  // elements; flat global index of the first
  double value = 0, other_value = 0;  // at the first
  bool not_finite = false;
};

// The oracle's tensor of this evidence name, or null where it has none (the bf16 copies).
const std::vector<double>* Right(const Input& input, const std::string& tensor, std::int64_t step) {
  if (static_cast<std::size_t>(step) >= input.trace.steps.size()) return nullptr;
  const oracle::TraceStep& trace = input.trace.steps[static_cast<std::size_t>(step)];
  const TensorName name = ParseTensorName(tensor);
  const auto find = [](const oracle::Values& values, const std::string& key) {
    const auto found = values.find(key);
    return found == values.end() ? nullptr : &found->second;
  };
  if (name.kind == "grad") return find(trace.gradients, name.parameter);
  if (name.kind == "clipped") return find(trace.clipped, name.parameter);
  if (name.kind == "param") return find(trace.parameters, name.parameter);
  if (name.kind == "state") return find(trace.state, name.parameter + "/" + name.state);
  return nullptr;
}

class Replicas {
 public:
  Replicas(const Input& input, Verdict& verdict) : input_(input), run_(*input.runs.candidate), verdict_(verdict) {}

  void Run() {
    const std::vector<protocol::Parameter> parameters = ParametersOf(input_, run_);
    for (const std::int64_t s : TensorStepsWithLoaded(run_)) {
      for (const std::string& tensor : OrderedTensorNames(run_, s, parameters)) CompareTensor(s, tensor);
      if (told_ && told_->step == s) Explain();
    }
    for (std::int64_t s = FirstStep(run_); s <= LastStep(run_); ++s) CompareFigures(s);
  }

 private:
  void CompareTensor(std::int64_t step, const std::string& tensor) {
    std::vector<double> values;  // global, by the lowest rank that holds each element
    std::vector<std::int64_t> owner;
    protocol::DType type = protocol::DType::kF32;
    for (std::size_t r = 0; r < run_.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      if (!run_.Step(rank, step).Contains(tensor)) continue;
      const Slice slice = run_.SliceOf(rank, step, tensor);
      const protocol::Tensor part = run_.Step(rank, step).Load(tensor);
      const protocol::Divergence at{step, PhaseOf(tensor, step, FirstStep(run_) - 1), tensor, rank, -1};
      if (owner.empty()) {
        type = part.dtype;
        const auto size = static_cast<std::size_t>(protocol::ElementCount(slice.global_shape));
        values.assign(size, 0);
        owner.assign(size, -1);
      }
      if (part.dtype != type || static_cast<std::size_t>(protocol::ElementCount(slice.global_shape)) != owner.size()) {
        verdict_.Report(at,
                        fmt::format("rank {} holds {} in another type or global shape than lower ranks", rank, tensor));
        continue;
      }
      verdict_.Count(part.size());
      CompareSlice(at, slice, part.ToDoubles(), values, owner);
    }
  }

  void CompareSlice(const protocol::Divergence& at, const Slice& slice, const std::vector<double>& part,
                    std::vector<double>& values, std::vector<std::int64_t>& owner) {
    const std::vector<std::int64_t> indices = GlobalIndices(slice);
    const std::vector<double>* right = Right(input_, at.tensor, at.step);
    Disagreement found{at.rank, -1, 0, 0, 0, 0, false};
    double error = 0, other_error = 0;
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto g = static_cast<std::size_t>(indices[i]);
      const bool held = owner[g] >= 0, finite = std::isfinite(part[i]);
      if (!held) {
        owner[g] = at.rank;
        values[g] = part[i];
      }
      if (finite && SameBits(values[g], part[i])) continue;
      if (found.count++ == 0) {
        found.first = indices[i];
        found.other = owner[g];
        found.value = part[i];
        found.other_value = values[g];
        found.not_finite = !finite;
      }
      if (right != nullptr && right->size() == values.size()) {
        error += std::pow(part[i] - (*right)[g], 2);
        other_error += std::pow(values[g] - (*right)[g], 2);
      }
    }
    if (found.count == 0) return;
    const bool swapped = !found.not_finite && other_error > error;
    if (swapped) {
      std::swap(found.rank, found.other);
      std::swap(found.value, found.other_value);
    }
    Tell(at, slice, part, values, found, right != nullptr && error != other_error);
  }

  void Tell(protocol::Divergence at, const Slice& slice, const std::vector<double>& part,
            const std::vector<double>& values, const Disagreement& d, bool judged) {
    const std::int64_t held_by = at.rank;
    at.rank = d.rank;
    std::string words =
        fmt::format("{}: {} of {} elements differ between ranks {} and {}, the first at {}: {:.9g} and {:.9g}",
                    at.tensor, d.count, part.size(), d.rank, d.other, d.first, d.value, d.other_value);
    if (d.not_finite)
      words = fmt::format("{} of rank {} is not finite: element {} is {}", at.tensor, d.rank, d.first, d.value);
    if (!d.not_finite && judged) words += fmt::format("; rank {} is the further from the oracle", d.rank);
    if (!d.not_finite) words += Relation(d.rank, d.other);
    if (at.phase == "load") words += "; the ranks start apart: the parameters were not broadcast, or not loaded alike";
    verdict_.Report(at, words);
    const TensorName name = ParseTensorName(at.tensor);
    if (d.not_finite || name.kind != "grad" || (told_ && told_->step != at.step)) return;
    if (!told_) told_ = at;
    if (told_->rank != at.rank) return;
    gradients_.push_back({name.parameter, slice, d.rank == held_by ? part : ExtractValues(values, slice)});
  }

  // What two ranks are to each other: over which group the reduction was missed.
  std::string Relation(std::int64_t a, std::int64_t b) const {
    const protocol::Coordinates x = input_.plan.At(a), y = input_.plan.At(b);
    if (x.pipeline != y.pipeline && ShareStages(x.pipeline, y.pipeline)) {
      return "; they are two pipeline ranks that hold the same stages";
    }
    if (x.pipeline != y.pipeline) return "; they stand on two pipeline stages and hold copies of one tied weight";
    if (x.data != y.data) return "; they are two replicas";
    const bool masks = input_.workload.model.dropout > 0;
    return std::string("; they are of one tensor group: not reduced over tensor ranks") +
           (masks ? ", or other dropout masks" : "");
  }

  bool ShareStages(std::int64_t a, std::int64_t b) const {
    const auto placement = protocol::PlacementOf(run_.request().schedule);
    const auto &x = placement.at(static_cast<std::size_t>(a)), &y = placement.at(static_cast<std::size_t>(b));
    return std::any_of(x.begin(), x.end(),
                       [&](std::int64_t stage) { return std::find(y.begin(), y.end(), stage) != y.end(); });
  }

  // The gradients of the rank that is told, beside what known causes give.
  void Explain() {
    if (explained_ || gradients_.empty() || input_.workload.model.kind == protocol::ModelKind::kOwn) return;
    explained_ = true;
    const std::int64_t s = told_->step;
    const oracle::Values* older = s > 1 ? &input_.trace.steps.at(static_cast<std::size_t>(s - 2)).parameters : nullptr;
    const Replay replay(input_.workload, input_.plan, input_.inputs, s,
                        input_.trace.steps.at(static_cast<std::size_t>(s - 1)).parameters, older);
    const auto cause = checks::Explain(replay, gradients_, 16 * ComputeRoundoff(input_.workload.precision));
    if (cause) verdict_.Note(fmt::format("rank {}'s gradients: {}", told_->rank, cause->words));
  }

  void CompareFigure(std::int64_t step, const std::string& phase, const std::string& what,
                     const std::function<std::optional<double>(const protocol::StepEvent&)>& of, bool every_rank) {
    const protocol::Schedule& schedule = run_.request().schedule;
    const std::vector<std::int64_t> last = protocol::RanksOfStage(schedule, schedule.stages - 1);
    std::optional<double> first;
    std::int64_t holder = 0;
    for (std::size_t r = 0; r < run_.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      const std::optional<double> value = of(StepEventOf(run_, rank, step));
      const bool last_stage = std::find(last.begin(), last.end(), input_.plan.At(rank).pipeline) != last.end();
      const protocol::Divergence at{step, phase, "", rank, -1};
      if (!value) {
        if (every_rank || last_stage) verdict_.Report(at, fmt::format("rank {} reports no {}", rank, what));
        continue;
      }
      verdict_.Count(1);
      if (!std::isfinite(*value)) {
        verdict_.Report(at, fmt::format("{} is not finite on rank {}: {}", what, rank, *value));
      } else if (!first) {
        first = value;
        holder = rank;
      } else if (!SameBits(*first, *value)) {
        verdict_.Report(
            at, fmt::format("{} differs: {:.17g} on rank {}, {:.17g} on rank {}", what, *first, holder, *value, rank));
      }
    }
  }

  void CompareFigures(std::int64_t step) {
    using Event = protocol::StepEvent;
    CompareFigure(
        step, "ledger", "valid_tokens",
        [](const Event& e) -> std::optional<double> { return static_cast<double>(e.valid_tokens); }, true);
    CompareFigure(
        step, "forward", "loss", [](const Event& e) { return e.loss; }, false);
    CompareFigure(
        step, "clip", "gradient_norm", [](const Event& e) { return e.gradient_norm; }, true);
    CompareFigure(
        step, "optimizer", "learning_rate", [](const Event& e) { return e.learning_rate; }, true);
  }

  const Input& input_;
  const RunEvidence& run_;
  Verdict& verdict_;
  std::optional<protocol::Divergence> told_;  // the first gradient that differs
  std::vector<Observed> gradients_;
  bool explained_ = false;
};

protocol::CheckResult Run(const Input& input) {
  Verdict verdict;
  Replicas(input, verdict).Run();
  return verdict.Finish();
}

}  // namespace

extern const Check check_replicas;
const Check check_replicas = MakeCheck(
    "replicas", "B0",
    "Ranks that hold the same elements hold the same bytes, from the initial state on, and report the same figures.",
    {}, Run);

}  // namespace lockstep::checks
