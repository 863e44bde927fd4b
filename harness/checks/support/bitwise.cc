#include "harness/checks/support/bitwise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/checks/support/compare.h"
#include "harness/checks/support/evidence_view.h"
#include "harness/checks/support/tolerance.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using protocol::RunEvidence;
using protocol::SafetensorsFile;

std::string SizeWords(const RunPair& pair, double relative) {
  const bool rounding = IsRounding(relative, pair.a.request().workload.precision);
  const std::string& words = rounding ? pair.rounding : pair.larger;
  return words.empty() ? "" : fmt::format("; by {} of its size: {}", Figure(relative), words);
}

std::string Words(const RunPair& pair, const std::string& what, const BitDifference& d, const std::vector<double>& a,
                  const std::vector<double>& b) {
  if (d.not_finite) {
    return fmt::format("{} is not finite: element {} is {} in {} and {} in {}", what, d.first, d.a, pair.a_name, d.b,
                       pair.b_name);
  }
  Comparison size;
  size.Add(a, b);
  return fmt::format("{}: {} of {} elements differ between {} and {}, the first at {}: {:.9g} and {:.9g}", what,
                     d.count, a.size(), pair.a_name, pair.b_name, d.first, d.a, d.b) +
         SizeWords(pair, size.relative());
}

// A figure of the step events; `rank` -1 for all.
void CompareFigure(const RunPair& pair, const protocol::Divergence& at, const std::string& what,
                   std::optional<double> a, std::optional<double> b, Verdict& verdict) {
  if (!a && !b) return;
  verdict.Count(1);
  if (!a || !b) {
    verdict.Report(at, fmt::format("{} is missing in {}", what, a ? pair.b_name : pair.a_name));
    return;
  }
  const std::vector<double> left{*a}, right{*b};
  const auto difference = CompareBits(left, right);
  if (!difference) return;
  const std::string words = difference->not_finite ? fmt::format("{} is not finite: {} and {}", what, *a, *b)
                                                   : fmt::format("{} differs: {:.17g} in {}, {:.17g} in {}", what, *a,
                                                                 pair.a_name, *b, pair.b_name) +
                                                         SizeWords(pair, std::fabs(*a - *b) / std::fabs(*b));
  verdict.Report(at, words);
}

void CompareStepEvents(const RunPair& pair, std::int64_t rank, std::int64_t step, std::int64_t told_rank,
                       Verdict& verdict) {
  const protocol::StepEvent& a = StepEventOf(pair.a, rank, step);
  const protocol::StepEvent& b = StepEventOf(pair.b, rank, step);
  CompareFigure(pair, {step, "forward", "", told_rank, -1}, "loss", a.loss, b.loss, verdict);
  CompareFigure(pair, {step, "clip", "", told_rank, -1}, "gradient_norm", a.gradient_norm, b.gradient_norm, verdict);
  CompareFigure(pair, {step, "optimizer", "", told_rank, -1}, "learning_rate", a.learning_rate, b.learning_rate,
                verdict);
  CompareFigure(pair, {step, "ledger", "", told_rank, -1}, "valid_tokens", static_cast<double>(a.valid_tokens),
                static_cast<double>(b.valid_tokens), verdict);
}

void CompareRankTensors(const Input& input, const RunPair& pair, std::int64_t rank, std::int64_t step,
                        Verdict& verdict) {
  const SafetensorsFile& a = pair.a.Step(rank, step);
  const SafetensorsFile& b = pair.b.Step(rank, step);
  const std::int64_t loaded = FirstStep(pair.a) - 1;
  std::vector<std::string> names = OrderedTensorNames(pair.a, step, ParametersOf(input, pair.a));
  for (const auto& [name, entry] : b.entries()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  for (const std::string& name : names) {
    if (!a.Contains(name) && !b.Contains(name)) continue;
    const protocol::Divergence at{step, PhaseOf(name, step, loaded), name, rank, -1};
    if (!a.Contains(name) || !b.Contains(name)) {
      verdict.Report(
          at, fmt::format("{} of rank {} is missing in {}", name, rank, a.Contains(name) ? pair.b_name : pair.a_name));
      continue;
    }
    const SafetensorsFile::Entry &left = a.At(name), &right = b.At(name);
    if (left.dtype != right.dtype || !(pair.a.SliceOf(rank, step, name) == pair.b.SliceOf(rank, step, name))) {
      verdict.Report(at, fmt::format("{} of rank {} has another type or slice in {}", name, rank, pair.b_name));
      continue;
    }
    verdict.Count(protocol::ElementCount(left.shape));
    const protocol::Tensor held = a.Load(name), other = b.Load(name);
    const auto difference = CompareBits(held, other);
    if (!difference) continue;
    const std::string what = fmt::format("{} of rank {}", name, rank);
    verdict.Report(at, Words(pair, what, *difference, held.ToDoubles(), other.ToDoubles()));
  }
}

bool SameMicroBatch(const protocol::MicroBatchEvent& a, const protocol::MicroBatchEvent& b) {
  return a.step == b.step && a.micro_batch == b.micro_batch && a.samples == b.samples &&
         a.valid_tokens == b.valid_tokens;
}

void CompareLedgers(const RunPair& pair, std::int64_t rank, Verdict& verdict) {
  const auto events = [&](const RunEvidence& run) {
    std::vector<protocol::MicroBatchEvent> kept;
    for (const auto& event : run.ranks().at(static_cast<std::size_t>(rank)).micro_batches) {
      if (event.step >= pair.first && event.step <= pair.last) kept.push_back(event);
    }
    return kept;
  };
  const auto a = events(pair.a), b = events(pair.b);
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t i = 0;
  while (i < common && SameMicroBatch(a[i], b[i])) ++i;
  verdict.Count(static_cast<std::int64_t>(common));
  if (i == a.size() && i == b.size()) return;
  const auto& first = i < a.size() ? a[i] : b[i];
  verdict.Report(
      {first.step, "ledger", "", rank, first.micro_batch},
      fmt::format("the ledgers of rank {} differ at micro-batch {} of step {}", rank, first.micro_batch, first.step));
}

bool HasTensors(const RunEvidence& run, std::int64_t step) {
  const std::vector<std::int64_t> steps = TensorStepsWithLoaded(run);
  return std::find(steps.begin(), steps.end(), step) != steps.end();
}

}  // namespace

void CompareByRank(const Input& input, const RunPair& pair, Verdict& verdict) {
  if (pair.a.ranks().size() != pair.b.ranks().size()) {
    throw protocol::BadInput(
        pair.b_name, fmt::format("has {} ranks, {} has {}", pair.b.ranks().size(), pair.a_name, pair.a.ranks().size()));
  }
  for (std::size_t r = 0; r < pair.a.ranks().size(); ++r) {
    const auto rank = static_cast<std::int64_t>(r);
    for (std::int64_t s = pair.first; s <= pair.last; ++s) {
      if (HasTensors(pair.a, s)) CompareRankTensors(input, pair, rank, s, verdict);
      if (s >= FirstStep(pair.a)) CompareStepEvents(pair, rank, s, rank, verdict);
    }
    CompareLedgers(pair, rank, verdict);
  }
}

void CompareGathered(const Input& input, const RunPair& pair, const std::vector<std::string>& kinds, Verdict& verdict) {
  const std::vector<protocol::Parameter> parameters = ParametersOf(input, pair.a);
  for (std::int64_t s = pair.first; s <= pair.last; ++s) {
    if (s >= FirstStep(pair.a) && s >= FirstStep(pair.b)) {
      CompareFigure(pair, {s, "forward", "", -1, -1}, "loss", pair.a.Loss(s), pair.b.Loss(s), verdict);
      const protocol::StepEvent &a = StepEventOf(pair.a, 0, s), &b = StepEventOf(pair.b, 0, s);
      CompareFigure(pair, {s, "clip", "", -1, -1}, "gradient_norm", a.gradient_norm, b.gradient_norm, verdict);
      CompareFigure(pair, {s, "optimizer", "", -1, -1}, "learning_rate", a.learning_rate, b.learning_rate, verdict);
    }
    if (!HasTensors(pair.a, s) || !HasTensors(pair.b, s)) continue;
    for (const std::string& kind : kinds) {
      const bool state = kind == "state";
      const auto read = [&](const RunEvidence& run) {
        return state ? GatherState(run, s, input.workload.optimizer.kind, parameters)
                     : GatherKind(run, s, kind, parameters);
      };
      const oracle::Values left = read(pair.a), right = read(pair.b);
      std::vector<std::string> names;  // gradients in backward order, the others canonically
      for (const protocol::Parameter& p : parameters) {
        if (!state) names.push_back(p.name);
        for (const std::string& more : protocol::StateNames(input.workload.optimizer.kind)) {
          if (state) names.push_back(p.name + "/" + more);
        }
      }
      if (kind == "grad") std::reverse(names.begin(), names.end());
      for (const std::string& name : names) {
        verdict.Count(static_cast<std::int64_t>(left.at(name).size()));
        const auto difference = CompareBits(left.at(name), right.at(name));
        if (!difference) continue;
        const std::string tensor = kind + "/" + name;
        const bool gradient = kind == "grad";
        const std::int64_t loaded = std::max(FirstStep(pair.a), FirstStep(pair.b)) - 1;
        verdict.Report({s, gradient ? "backward" : PhaseOf(tensor, s, loaded), tensor, -1, -1},
                       Words(pair, tensor, *difference, left.at(name), right.at(name)));
      }
    }
  }
}

}  // namespace lockstep::checks
