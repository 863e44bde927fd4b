#include "harness/publish/figures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "harness/protocol/files.h"
#include "harness/protocol/workload.h"

namespace lockstep::publish {
namespace {

using nlohmann::json;
using protocol::RankEvidence;
using protocol::RunEvidence;

struct StepFigures {
  double seconds = 0, tokens = 0, samples = 0;
  bool ledger = false;
};

// One rank a replica speaks for it: tensor rank 0 of the last stage. Each of its micro-batches counts once, though a
// rank that holds several chunks runs it through each of them.
void AddLedger(const RankEvidence& rank, std::map<std::int64_t, StepFigures>* steps) {
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (const protocol::MicroBatchEvent& event : rank.micro_batches) {
    if (!seen.insert({event.step, event.micro_batch}).second) continue;
    StepFigures& step = (*steps)[event.step];
    step.tokens += static_cast<double>(event.valid_tokens);
    step.samples += static_cast<double>(event.samples.size());
    step.ledger = true;
  }
}

std::map<std::int64_t, StepFigures> StepsOf(const protocol::Plan& plan, const std::vector<RankEvidence>& ranks) {
  std::map<std::int64_t, StepFigures> steps;
  for (const RankEvidence& rank : ranks) {
    const protocol::Coordinates at = plan.At(rank.hello.rank);
    if (at.tensor == 0 && at.pipeline == plan.pipeline - 1) AddLedger(rank, &steps);
  }
  for (const RankEvidence& rank : ranks) {
    for (const protocol::StepEvent& event : rank.steps) {
      StepFigures& step = steps[event.step];
      step.seconds = std::max(step.seconds, event.wall_seconds);
      if (!step.ledger) step.tokens = static_cast<double>(event.valid_tokens);
    }
  }
  std::erase_if(steps, [](const auto& step) { return step.second.seconds == 0; });  // begun, not ended by any rank
  return steps;
}

double FlopsOf(const protocol::Model& model, double samples) {
  if (model.kind == protocol::ModelKind::kOwn) return 0;  // only its trainer knows
  const bool tokens = model.kind == protocol::ModelKind::kGpt;
  return protocol::ModelFlops(model, tokens ? samples * static_cast<double>(model.sequence) : samples);
}

bool OnVirtualDevice(const RankEvidence& rank) { return rank.hello.device_kind == "virtual"; }

RankFigures FiguresOf(const RankEvidence& rank, const protocol::Plan& plan) {
  RankFigures figures;
  figures.rank = rank.hello.rank;
  figures.pp_stage = plan.At(rank.hello.rank).pipeline;
  if (OnVirtualDevice(rank)) {
    if (rank.done) figures.memory = rank.done->memory;
    return figures;
  }
  if (!rank.done) {  // cut short: the steps that it ended
    for (const protocol::StepEvent& event : rank.steps) {
      figures.wall_seconds += event.wall_seconds;
      figures.busy_seconds += event.busy_seconds;
      figures.idle_seconds += event.idle_seconds;
    }
    return figures;
  }
  figures.memory = rank.done->memory;
  figures.wall_seconds = rank.done->wall_seconds;
  figures.busy_seconds = rank.done->busy_seconds;
  figures.idle_seconds = rank.done->idle_seconds;
  return figures;
}

void AddLosses(const std::vector<RankEvidence>& ranks, TrainSummary* summary) {
  std::map<std::int64_t, double> losses;
  for (const RankEvidence& rank : ranks) {
    for (const protocol::StepEvent& event : rank.steps) {
      if (event.loss) losses.emplace(event.step, *event.loss);
    }
  }
  if (losses.empty()) return;
  summary->first_loss = losses.begin()->second;
  summary->last_loss = losses.rbegin()->second;
}

std::vector<double> Rates(const std::vector<double>& amounts, const std::vector<double>& seconds) {
  std::vector<double> rates;
  for (std::size_t i = 0; i < amounts.size(); ++i) rates.push_back(seconds[i] > 0 ? amounts[i] / seconds[i] : 0);
  return rates;
}

}  // namespace

double Median(std::vector<double> values) {
  if (values.empty()) return std::nan("");
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

json Measure(const std::string& name, const std::string& unit, const std::string& better,
             const std::vector<double>& samples, std::int64_t warmup) {
  warmup = std::clamp<std::int64_t>(warmup, 0, std::ssize(samples));
  json all = json::array();
  for (const double sample : samples) all.push_back(protocol::NumberToJson(sample));
  return {{"name", name},
          {"unit", unit},
          {"better", better},
          {"samples", std::move(all)},
          {"median", protocol::NumberToJson(Median({samples.begin() + warmup, samples.end()}))},
          {"n", std::ssize(samples) - warmup},
          {"warmup", warmup}};
}

std::string WorkloadName(const protocol::Workload& workload) {
  std::string name(protocol::NameOf(workload.model.kind));
  if (workload.model.kind == protocol::ModelKind::kOwn) name += ":" + workload.model.own_name;
  for (const std::string_view word : {NameOf(workload.precision), NameOf(workload.optimizer.kind)}) {
    name.append(" ").append(word);
  }
  return name;
}

TrainSummary Summarize(const RunEvidence& evidence) { return Summarize(evidence.request(), evidence.ranks()); }

TrainSummary Summarize(const protocol::Request& request, const std::vector<RankEvidence>& ranks) {
  TrainSummary summary;
  summary.plan = request.plan;
  summary.workload = WorkloadName(request.workload);
  summary.virtual_devices = std::any_of(ranks.begin(), ranks.end(), OnVirtualDevice);
  for (const auto& [number, step] : StepsOf(request.plan, ranks)) {
    if (number <= 0) continue;
    summary.last_step = number;
    summary.step_seconds.push_back(step.seconds);
    summary.tokens.push_back(step.tokens);
    summary.samples.push_back(step.samples);
    summary.model_flops += FlopsOf(request.workload.model, step.samples);
  }
  summary.complete = summary.last_step >= request.workload.steps;
  for (const RankEvidence& rank : ranks) {
    if (summary.backend.empty()) summary.backend = rank.hello.trainer;
    summary.ranks.push_back(FiguresOf(rank, request.plan));
    summary.complete = summary.complete && rank.done && !rank.done->error;
  }
  AddLosses(ranks, &summary);
  return summary;
}

double SumOfReasons(const RankFigures& rank) {
  double seconds = 0;
  for (const std::string_view reason : kIdleReasons) {
    const auto found = rank.seconds.find(std::string(reason));
    if (found != rank.seconds.end()) seconds += found->second;
  }
  return seconds;
}

void AddTimes(const TimeFigures& times, TrainSummary* summary) {
  if (summary->virtual_devices) return;
  for (RankFigures& rank : summary->ranks) {
    const auto index = static_cast<std::size_t>(rank.rank);
    if (index < times.seconds.size()) rank.seconds = times.seconds[index];
  }
  summary->bubble_ratio = times.bubble_ratio;
  summary->bubble_expected_ratio = times.bubble_expected_ratio;
}

void FillFigures(const RunEvidence& evidence, const TimeFigures& times, protocol::CaseResult* result) {
  TrainSummary summary = Summarize(evidence);
  AddTimes(times, &summary);
  if (result->workload.empty()) result->workload = summary.workload;
  result->memory = json::array();
  result->pipeline = json::array();
  for (const RankFigures& rank : summary.ranks) {
    result->memory.push_back({{"rank", rank.rank},
                              {"peak_bytes", rank.memory.peak_bytes},
                              {"capacity_bytes", rank.memory.capacity_bytes},
                              {"categories", rank.memory.categories}});
    if (summary.virtual_devices) continue;
    result->pipeline.push_back({{"rank", rank.rank},
                                {"pp_stage", rank.pp_stage},
                                {"wall_seconds", protocol::NumberToJson(rank.wall_seconds)},
                                {"busy_seconds", protocol::NumberToJson(rank.busy_seconds)},
                                {"idle_seconds", protocol::NumberToJson(rank.idle_seconds)}});
    if (!rank.seconds.empty()) result->pipeline.back()["seconds"] = rank.seconds;
  }
  result->performance = json::array();
  if (summary.step_seconds.empty()) return;
  const std::int64_t warmup = summary.step_seconds.size() > 1 ? 1 : 0;
  const std::vector<double> flops(summary.samples.size(),
                                  summary.model_flops / static_cast<double>(summary.samples.size()));
  const std::vector<double> rates = Rates(summary.tokens, summary.step_seconds);
  if (!summary.virtual_devices && evidence.request().delays.empty()) {  // steps made longer on purpose are no figure
    result->performance.push_back(Measure(kStepSeconds, "s", "lower", summary.step_seconds, warmup));
    result->performance.push_back(Measure(kTokensPerSecond, "tokens/s", "higher", rates, warmup));
  }
  if (summary.bubble_ratio && summary.bubble_expected_ratio) {  // none of virtual devices
    result->performance.push_back(Measure(kBubbleRatio, "1", "lower", {*summary.bubble_ratio}, 0));
    result->performance.push_back(Measure(kBubbleExpectedRatio, "1", "none", {*summary.bubble_expected_ratio}, 0));
  }
  result->performance.push_back(Measure(kTokensPerStep, "tokens", "none", summary.tokens, warmup));
  result->performance.push_back(Measure(kSamplesPerStep, "samples", "none", summary.samples, warmup));
  result->performance.push_back(Measure(kModelFlopsPerStep, "FLOP", "none", flops, warmup));
}

}  // namespace lockstep::publish
