#include "harness/checks/support/hypotheses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/checks/support/compare.h"
#include "harness/checks/support/diagnosis.h"
#include "harness/checks/support/tolerance.h"
#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

namespace {

// sum over cells of weight(cell) * g(cell).
template <typename Weight>
Prediction Weighted(const Replay& replay, const Weight& weight) {
  oracle::Values sum = replay.whole().gradients;
  for (auto& [name, values] : sum) std::fill(values.begin(), values.end(), 0.0);
  for (const Cell& cell : replay.cells()) {
    const double w = weight(cell);
    if (w == 0) continue;
    for (auto& [name, values] : sum) {
      const std::vector<double>& g = cell.gradients.at(name);
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += w * g[i];
    }
  }
  Prediction prediction;
  prediction.gradients = std::move(sum);
  return prediction;
}

double Right(const Replay& r, const Cell& c) { return static_cast<double>(c.valid) / static_cast<double>(r.valid()); }

using Weight = std::function<double(const Replay&, const Cell&)>;
using Applies = std::function<bool(const Replay&)>;

// One prediction from weights that accuse nobody in particular.
Hypothesis Sum(const std::string& name, const std::string& phase, const std::string& words, const Applies& applies,
               const Weight& weight) {
  return {name, phase, words, [=](const Replay& r) -> std::vector<Prediction> {
            if (!applies(r) || r.valid() == 0) return {};
            return {Weighted(r, [&](const Cell& c) { return weight(r, c); })};
          }};
}

// One prediction for each cell: that cell times `times`, the others right.
Hypothesis OneCell(const std::string& name, const std::string& words, double times) {
  return {name, "backward", words, [=](const Replay& r) {
            std::vector<Prediction> all;
            if (r.valid() == 0 || r.cells().size() < 2) return all;
            for (const Cell& culprit : r.cells()) {
              Prediction p = Weighted(r, [&](const Cell& c) { return Right(r, c) * (&c == &culprit ? times : 1); });
              p.data = culprit.data;
              p.micro_batch = culprit.micro_batch;
              p.figures = fmt::format("micro-batch {} of replica {}, {} of {} valid targets", culprit.micro_batch,
                                      culprit.data, culprit.valid, r.valid());
              all.push_back(std::move(p));
            }
            return all;
          }};
}

// One prediction for each replica: its own samples alone, over N or over its own count.
std::vector<Prediction> OneReplica(const Replay& r) {
  std::vector<Prediction> all;
  if (r.plan().data < 2 || r.valid() == 0) return all;
  for (std::int64_t d = 0; d < r.plan().data; ++d) {
    const auto local = static_cast<double>(r.ValidOf(d));
    const double n = static_cast<double>(r.valid());
    if (local == 0) {
      Prediction p = Weighted(r, [](const Cell&) { return 0.0; });
      p.data = d;
      p.figures = fmt::format("replica {} alone, which has no valid target: nothing", d);
      all.push_back(std::move(p));
      continue;
    }
    for (const double denominator : {n, local, n / static_cast<double>(r.plan().data)}) {
      Prediction p =
          Weighted(r, [&](const Cell& c) { return c.data == d ? static_cast<double>(c.valid) / denominator : 0.0; });
      p.data = d;
      p.figures = fmt::format("replica {} alone, over {:.0f} valid targets", d, denominator);
      all.push_back(std::move(p));
    }
  }
  return all;
}

// Each replica divides by the last (shorter) or full window: micro-batches means added with equal weight, per replica.
double MeanOfCells(const Replay& r, const Cell& c) {
  return static_cast<double>(r.ValidOf(c.data)) / static_cast<double>(r.valid() * r.plan().micro_batches);
}

double RoundToBFloat16(double value) {
  return protocol::BFloat16ToFloat(protocol::FloatToBFloat16(static_cast<float>(value)));
}

// Each replica adds its micro-batches into a bf16 buffer; the replicas' sums are added in full.
std::vector<Prediction> AccumulatedInBFloat16(const Replay& r) {
  if (r.valid() == 0) return {};
  Prediction p = Weighted(r, [](const Cell&) { return 0.0; });
  for (auto& [name, values] : p.gradients) {
    for (std::int64_t d = 0; d < r.plan().data; ++d) {
      std::vector<double> buffer(values.size(), 0.0);
      for (const Cell& c : r.cells()) {
        if (c.data != d) continue;
        const std::vector<double>& g = c.gradients.at(name);
        for (std::size_t i = 0; i < buffer.size(); ++i) buffer[i] = RoundToBFloat16(buffer[i] + Right(r, c) * g[i]);
      }
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += buffer[i];
    }
  }
  return {std::move(p)};
}

std::vector<Prediction> AtPreviousParameters(const Replay& r) {
  if (r.previous() == nullptr) return {};
  const oracle::TraceStep stale = r.On(r.samples(), *r.previous());
  std::vector<Prediction> all(1);
  all[0].loss = stale.loss;
  all[0].gradients = stale.gradients;
  // One micro-batch old, the rest new, and the other way round: a pipeline that is not flushed between steps.
  for (const Cell& old : r.cells()) {
    if (r.cells().size() < 2 || r.cells().size() > 16 || old.valid == 0) continue;
    const oracle::TraceStep part = r.On(old.samples, *r.previous());
    Prediction p = Weighted(r, [&](const Cell& c) { return &c == &old ? 0.0 : Right(r, c); });
    for (auto& [name, values] : p.gradients) {
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += Right(r, old) * part.gradients.at(name)[i];
    }
    p.data = old.data;
    p.micro_batch = old.micro_batch;
    p.figures = fmt::format("micro-batch {} of replica {}", old.micro_batch, old.data);
    all.push_back(std::move(p));
  }
  return all;
}

bool Replicated(const Replay& r) { return r.plan().data > 1; }
bool Accumulated(const Replay& r) { return r.plan().micro_batches > 1; }
bool Both(const Replay& r) { return Replicated(r) && Accumulated(r); }

// |observed - predicted| / |right| over the observed slices.
double Residual(const Replay& replay, const std::vector<Observed>& gradients, const oracle::Values& prediction) {
  Comparison left, right;
  for (const Observed& o : gradients) {
    const std::vector<double> expected = ExtractValues(replay.whole().gradients.at(o.parameter), o.slice);
    left.Add(o.values, ExtractValues(prediction.at(o.parameter), o.slice));
    right.Add(o.values, expected);
  }
  return left.difference() / right.reference();
}

// The first stage from which on the gradients are as predicted: into it leads the link that brought something else.
// -1: there is none.
std::int64_t StageBehindLink(const Replay& replay, const std::vector<Observed>& gradients,
                             const oracle::Values& prediction, double typical_noise) {
  std::vector<Observed> behind = gradients;
  for (std::int64_t stage = 1; stage < replay.plan().Stages(); ++stage) {
    std::erase_if(behind, [&](const Observed& o) {
      return StageOf(o.parameter, replay.workload().model, replay.plan()) < stage;
    });
    if (behind.empty()) return -1;
    const double difference = Residual(replay, behind, replay.whole().gradients);
    if (Explains(Residual(replay, behind, prediction), difference, typical_noise, false)) return stage;
  }
  return -1;
}

// What a prediction leaves: of the loss where one is given, otherwise of the gradients. Nothing where it doesn't say.
std::optional<double> Left(const Replay& replay, const std::vector<Observed>& gradients, std::optional<double> loss,
                           const Prediction& prediction) {
  if (loss) {
    if (!prediction.loss) return std::nullopt;
    return std::fabs(*loss - *prediction.loss) / std::fabs(replay.whole().loss);
  }
  if (prediction.gradients.empty() || prediction.of_a_link) return std::nullopt;  // these don't hold for all stages
  return Residual(replay, gradients, prediction.gradients);
}

// The prediction of the table that leaves least of the difference, where that is noise.
std::optional<Explanation> Best(const Replay& replay, const std::vector<Observed>& gradients,
                                std::optional<double> loss, double typical_noise) {
  Prediction right;
  right.loss = replay.whole().loss;
  right.gradients = replay.whole().gradients;
  const double difference = *Left(replay, gradients, loss, right);
  std::optional<Explanation> best;
  std::set<std::string> also;
  std::vector<Hypothesis> table = AccumulationHypotheses();
  for (Hypothesis& h : ModelHypotheses()) table.push_back(std::move(h));
  for (const Hypothesis& h : table) {
    for (const Prediction& p : h.predict(replay)) {
      const std::optional<double> left = Left(replay, gradients, loss, p);
      if (!left || !Explains(*left, difference, typical_noise, loss.has_value())) continue;
      if (best && !(*left < best->residual - 1e-3 * difference)) {
        if (*left <= best->residual + 1e-3 * difference) also.insert(h.name);  // the figures can't tell them apart
        continue;
      }
      also.clear();
      best = Explanation{h.name, h.phase, h.words, p.data, p.micro_batch, -1, *left};
      if (p.of_a_link) {
        best->stage = StageBehindLink(replay, gradients, p.gradients, typical_noise);
        best->words += best->stage < 0
                           ? " on a link between stages"
                           : fmt::format(" on the link from stage {} to stage {}", best->stage - 1, best->stage);
      }
      if (!p.figures.empty()) best->words += " (" + p.figures + ")";
    }
  }
  if (!best) return best;
  also.erase(best->name);
  if (!also.empty()) best->words += fmt::format(" (the same figures fit {})", fmt::join(also, ", "));
  best->words += fmt::format("; this leaves {} of a difference of {}, relative to the right {}", Figure(best->residual),
                             Figure(difference), loss ? "loss" : "gradients");
  return best;
}

}  // namespace

// NOLINTNEXTLINE(readability-function-size): a table
std::vector<Hypothesis> AccumulationHypotheses() {
  const auto dp = [](const Replay& r) { return static_cast<double>(r.plan().data); };
  const auto m = [](const Replay& r) { return static_cast<double>(r.plan().micro_batches); };
  return {
      Sum("sum_over_replicas", "backward", "gradients are summed over replicas, not averaged", Replicated,
          [=](const Replay& r, const Cell& c) { return Right(r, c) * dp(r); }),
      Sum("divided_by_replicas", "backward", "gradients are divided by the data-parallel degree once too often",
          Replicated, [=](const Replay& r, const Cell& c) { return Right(r, c) / dp(r); }),
      Sum("sum_over_micro_batches", "backward", "gradients are not divided by the number of micro-batches", Accumulated,
          [=](const Replay& r, const Cell& c) { return Right(r, c) * m(r); }),
      Sum("sum_of_micro_batch_means", "backward", "the means of the micro-batches are added and not divided",
          Accumulated, [=](const Replay& r, const Cell& c) { return MeanOfCells(r, c) * m(r); }),
      Sum("divided_by_micro_batches", "backward", "gradients are divided by the number of micro-batches once too often",
          Accumulated, [=](const Replay& r, const Cell& c) { return Right(r, c) / m(r); }),
      Sum("mean_of_replica_means", "backward",
          "mean of means over replicas: each replica divides by its own count of valid targets, not by the global one",
          Replicated,
          [=](const Replay& r, const Cell& c) {
            return static_cast<double>(c.valid) / static_cast<double>(std::max<std::int64_t>(1, r.ValidOf(c.data))) /
                   dp(r);
          }),
      Sum("mean_of_micro_batch_means", "backward",
          "mean of means over micro-batches: each micro-batch divides by its own count of valid targets", Accumulated,
          MeanOfCells),
      Sum("mean_of_all_means", "backward",
          "mean of means over replicas and micro-batches: each divides by its own count of valid targets", Both,
          [=](const Replay& r, const Cell&) { return 1 / (dp(r) * m(r)); }),
      Sum("sum_of_replica_means", "backward", "the means of the replicas are added, not averaged", Replicated,
          [=](const Replay& r, const Cell& c) {
            return static_cast<double>(c.valid) / static_cast<double>(std::max<std::int64_t>(1, r.ValidOf(c.data)));
          }),
      Sum("last_micro_batch_only", "backward", "only the last micro-batch survives: gradients are zeroed in between",
          Accumulated,
          [=](const Replay& r, const Cell& c) {
            return c.micro_batch + 1 == r.plan().micro_batches ? Right(r, c) : 0;
          }),
      Sum("last_micro_batch_mean", "backward", "only the last micro-batch survives, divided by its own count",
          Accumulated,
          [=](const Replay& r, const Cell& c) { return c.micro_batch + 1 == r.plan().micro_batches ? 1 / dp(r) : 0; }),
      Sum("last_micro_batch_missing", "backward", "the last micro-batch of every replica is missing", Accumulated,
          [=](const Replay& r, const Cell& c) {
            return c.micro_batch + 1 == r.plan().micro_batches ? 0 : Right(r, c);
          }),
      Sum(
          "not_divided_by_count", "backward", "gradients are not divided by the count of valid targets",
          [](const Replay&) { return true; },
          [](const Replay&, const Cell& c) { return static_cast<double>(c.valid); }),
      Sum(
          "divided_by_batch", "backward", "gradients are divided by the number of samples, not of valid targets",
          [](const Replay& r) { return r.valid() != r.batch_size(); },
          [](const Replay& r, const Cell& c) {
            return static_cast<double>(c.valid) / static_cast<double>(r.batch_size());
          }),
      Sum(
          "divided_by_positions", "backward", "gradients are divided by all positions, valid or not",
          [](const Replay& r) { return r.workload().model.kind == protocol::ModelKind::kGpt; },
          [](const Replay& r, const Cell& c) {
            return static_cast<double>(c.valid) / static_cast<double>(r.batch_size() * r.workload().model.sequence);
          }),
      Sum(
          "short_batch_over_full", "backward", "the short last batch is divided by a full batch's count",
          [](const Replay& r) { return r.batch_size() < r.workload().global_batch; },
          [](const Replay& r, const Cell& c) {
            return Right(r, c) * static_cast<double>(r.batch_size()) / static_cast<double>(r.workload().global_batch);
          }),
      Sum(
          "shifted_label_counted", "forward",
          "the count of targets holds one label of each sequence too many: counted though the shift has dropped it",
          [](const Replay& r) { return r.workload().model.kind == protocol::ModelKind::kGpt; },
          [](const Replay& r, const Cell& c) {
            return static_cast<double>(c.valid) / static_cast<double>(r.valid() + r.batch_size());
          }),
      {"not_reduced", "reduction", "not reduced over replicas: it is one replica's own gradient", OneReplica},
      OneCell("micro_batch_missing", "the backward of one micro-batch is missing", 0),
      OneCell("micro_batch_twice", "the backward of one micro-batch counts twice", 2),
      {"accumulated_in_bf16", "backward", "micro-batches are accumulated in bf16", AccumulatedInBFloat16},
      {"stale_parameters", "forward", "computed at the parameters of the step before: stale weights",
       AtPreviousParameters},
  };
}

std::optional<Explanation> Explain(const Replay& replay, const std::vector<Observed>& gradients, double typical_noise) {
  if (gradients.empty()) return std::nullopt;
  return Best(replay, gradients, std::nullopt, typical_noise);
}

std::optional<Explanation> ExplainLoss(const Replay& replay, double loss, const std::vector<Observed>& gradients,
                                       double typical_noise) {
  return Best(replay, gradients, loss, typical_noise);
}

}  // namespace lockstep::checks
