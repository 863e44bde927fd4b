// The reported gradient norm is the norm of the gathered gradient, and clipping used it.
#include <fmt/format.h>

#include <cmath>

#include "harness/checks/support/compare.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using protocol::Parameter;
using protocol::RunEvidence;

// sqrt of the sum of g^2 over what these ranks hold: each element once, or once for each rank that holds it.
double NormOf(const RunEvidence& run, std::int64_t step, const std::vector<Parameter>& parameters,
              const oracle::Values& gradients, const std::vector<std::int64_t>& ranks, bool every_copy) {
  double sum = 0;
  for (const Parameter& p : parameters) {
    const std::vector<double>& g = gradients.at(p.name);
    std::vector<bool> counted(g.size(), false);
    for (const std::int64_t rank : ranks) {
      if (!run.Step(rank, step).Contains("grad/" + p.name)) continue;
      for (const std::int64_t i : GlobalIndices(run.SliceOf(rank, step, "grad/" + p.name))) {
        const auto at = static_cast<std::size_t>(i);
        if (counted[at] && !every_copy) continue;
        counted[at] = true;
        sum += g[at] * g[at];
      }
    }
  }
  return std::sqrt(sum);
}

struct Guess {
  double value;
  std::string words;
};

// Norms that a trainer gets when it leaves something out or counts it twice.
std::vector<Guess> Guesses(const RunEvidence& run, std::int64_t step, const std::vector<Parameter>& parameters,
                           const oracle::Values& gradients, double norm, double clip_norm) {
  const protocol::Plan& plan = run.request().plan;
  std::vector<Guess> guesses;
  const auto over = [&](const std::string& words, bool every_copy,
                        const std::function<bool(const protocol::Coordinates&)>& in) {
    std::vector<std::int64_t> ranks;
    for (std::int64_t r = 0; r < plan.WorldSize(); ++r) {
      if (in(plan.At(r))) ranks.push_back(r);
    }
    guesses.push_back({NormOf(run, step, parameters, gradients, ranks, every_copy), words});
  };
  using At = protocol::Coordinates;
  for (std::int64_t p = 0; p < plan.pipeline && plan.pipeline > 1; ++p) {
    over(fmt::format("the norm of pipeline stage {} alone", p), false, [p](const At& at) { return at.pipeline == p; });
  }
  for (std::int64_t t = 0; t < plan.tensor && plan.tensor > 1; ++t) {
    over(fmt::format("the norm of tensor rank {}'s part alone", t), false,
         [t](const At& at) { return at.tensor == t; });
  }
  for (std::int64_t r = 0; r < plan.WorldSize(); ++r) {
    over(fmt::format("the norm of what rank {} holds", r), false,
         [r, &plan](const At& at) { return plan.RankOf(at) == r; });
  }
  over("copies within a replica are counted each (weights replicated over tensor ranks, tied weights)", true,
       [](const At& at) { return at.data == 0; });
  over("every rank's copy is counted", true, [](const At&) { return true; });
  if (clip_norm > 0) guesses.push_back({std::min(norm, clip_norm), "the norm after clipping"});
  const auto times = [&](std::int64_t n, const std::string& name) {
    if (n < 2) return;
    guesses.push_back({norm * static_cast<double>(n), "x " + name});
    guesses.push_back({norm / static_cast<double>(n), "/ " + name});
    guesses.push_back({norm * std::sqrt(static_cast<double>(n)), "x sqrt of " + name});
    guesses.push_back({norm / std::sqrt(static_cast<double>(n)), "/ sqrt of " + name});
  };
  times(plan.data, "data-parallel degree");
  times(plan.tensor, "tensor-parallel degree");
  times(plan.pipeline, "pipeline degree");
  times(plan.micro_batches, "number of micro-batches");
  return guesses;
}

class ReportedNorm {
 public:
  ReportedNorm(const Input& input, Verdict& verdict)
      : input_(input), run_(*input.runs.candidate), verdict_(verdict), parameters_(ParametersOf(input, run_)) {
    for (const Parameter& p : parameters_) elements_ += p.size();
  }

  void Run() {
    if (!run_.request().evidence.gradients) throw protocol::BadInput("request", "asks for no gradients");
    for (const std::int64_t s : TensorSteps(run_)) {
      const oracle::Values gradients = GatherKind(run_, s, "grad", parameters_);
      double sum = 0;
      for (const Parameter& p : parameters_) sum += std::pow(Norm(gradients.at(p.name)), 2);
      const double norm = std::sqrt(sum);
      CompareNorm(s, gradients, norm);
      if (run_.request().evidence.clipped_gradients) CompareClipped(s, gradients, norm);
    }
  }

 private:
  void CompareNorm(std::int64_t s, const oracle::Values& gradients, double norm) {
    const double bound = NormBound(elements_, input_.workload.precision);
    for (std::size_t r = 0; r < run_.ranks().size(); ++r) {
      const auto rank = static_cast<std::int64_t>(r);
      const std::optional<double> reported = StepEventOf(run_, rank, s).gradient_norm;
      verdict_.Count(1);
      if (!reported) {
        verdict_.Report({s, "clip", "", rank, -1}, fmt::format("rank {} reports no gradient norm", rank));
        continue;
      }
      const double error = *reported == norm ? 0 : std::fabs(*reported - norm) / norm;
      verdict_.Measure(error / bound);
      if (error <= bound) continue;
      std::string words =
          fmt::format("rank {} reports a gradient norm of {:.9g}, the gathered gradient's is {:.9g} (x {:.4f})", rank,
                      *reported, norm, *reported / norm);
      for (const Guess& guess : Guesses(run_, s, parameters_, gradients, norm, input_.workload.optimizer.clip_norm)) {
        if (!(std::fabs(guess.value - *reported) <= 4 * bound * guess.value)) continue;
        words += ": " + guess.words;
        break;
      }
      verdict_.Report({s, "clip", "", rank, -1}, words, *reported / norm);
    }
  }

  void CompareClipped(std::int64_t s, const oracle::Values& gradients, double norm) {
    const double clip = input_.workload.optimizer.clip_norm;
    const double factor = clip > 0 ? std::min(1.0, clip / (norm + 1e-6)) : 1.0;
    const oracle::Values clipped = GatherKind(run_, s, "clipped", parameters_);
    Comparison all;
    std::string first;
    for (const Parameter& p : parameters_) {
      std::vector<double> right = gradients.at(p.name);
      bool wrong = false;
      for (std::size_t i = 0; i < right.size(); ++i) {
        right[i] *= factor;
        const double error = std::fabs(clipped.at(p.name)[i] - right[i]);
        const double bound = factor < 1 ? ClippedBound(right[i], elements_, input_.workload.precision) : 0;
        wrong = wrong || !(error <= bound);
      }
      verdict_.Count(p.size());
      all.Add(clipped.at(p.name), right);
      if (wrong && first.empty()) first = p.name;
    }
    if (first.empty()) return;
    std::string words = fmt::format("clipped/{} is not grad/{} x {:.6f}: alpha {:.6f}, rho {}", first, first, factor,
                                    all.alpha(), Figure(all.rho()));
    if (factor < 1 && IsFactor(all.alpha() * factor, 1, 0)) words += ": the gradient is not clipped";
    if (factor == 1 && all.alpha() < 1) words += ": it is clipped though the norm is below the limit";
    verdict_.Measure(std::numeric_limits<double>::infinity());
    verdict_.Report({s, "clip", "clipped/" + first, -1, -1}, words, all.alpha(), all.rho());
  }

  const Input& input_;
  const RunEvidence& run_;
  Verdict& verdict_;
  std::vector<Parameter> parameters_;
  std::int64_t elements_ = 0;
};

protocol::CheckResult Run(const Input& input) {
  Verdict verdict;
  ReportedNorm(input, verdict).Run();
  return verdict.Finish(1);
}

}  // namespace

extern const Check check_reported_norm;
const Check check_reported_norm = MakeCheck(
    "reported_norm", "exact",
    "The reported norm is that of the whole gathered gradient, and the clipped gradient is that gradient scaled by it.",
    {}, Run);

}  // namespace lockstep::checks
