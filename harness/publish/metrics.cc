// MetricsText() and TrainMetricsText(): which figure becomes which metric. Names and help are metric_set.cc's.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "harness/protocol/files.h"
#include "harness/publish/case_figures.h"
#include "harness/publish/figures.h"
#include "harness/publish/metric_set.h"
#include "harness/publish/publish.h"
#include "harness/publish/system.h"
#include "harness/publish/words.h"

namespace lockstep::publish {
namespace {

using nlohmann::json;
using protocol::CaseResult;
using protocol::CheckResult;
using protocol::Record;

constexpr std::size_t kMostRanks = 64;  // above, ranks are one series

// "single", "dp", "dp_tp_pp": which degrees are above 1.
std::string StrategyOf(const protocol::Plan& plan) {
  std::string strategy;
  const auto add = [&](std::int64_t degree, const char* name) {
    if (degree > 1) strategy += std::string(strategy.empty() ? "" : "_") + name;
  };
  add(plan.data, "dp");
  add(plan.tensor, "tp");
  add(plan.pipeline, "pp");
  return strategy.empty() ? "single" : strategy;
}

std::string FirstWord(const std::string& text) {
  const std::string word = text.substr(0, text.find_first_of(" ,;/"));
  return word.empty() ? "unknown" : word;
}

std::string TextAt(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) return "";
  return object[key].get<std::string>();
}

double Sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

Labels With(Labels labels, const Labels& more) {
  labels.insert(more.begin(), more.end());
  return labels;
}

void AddTool(const json& tool, const json& system, MetricSet* metrics) {
  metrics->Set("build_info", {{"version", TextAt(tool, "version")}, {"revision", TextAt(tool, "revision")}}, 1);
  if (!system.is_object() || !system.contains("devices") || !system["devices"].is_array()) return;
  for (const json& device : system["devices"]) {
    Labels labels;
    for (const char* key : {"kind", "name", "uuid"}) {
      if (const std::string value = TextAt(device, key); !value.empty()) labels[key] = value;
    }
    metrics->Set("device_info", labels, 1);
  }
}

// By reason where the run's time has been attributed: then what a rank handed over is idle, too, and the rest busy.
void AddIdle(const RankFigures& rank, const Labels& stage, MetricSet* metrics) {
  if (rank.seconds.empty()) {
    metrics->Add("pipeline_idle_seconds_total", With(stage, {{"reason", "other_rank"}}), rank.idle_seconds);
    metrics->Add("pipeline_busy_seconds_total", stage, rank.busy_seconds);
    return;
  }
  for (const std::string_view reason : kIdleReasons) {
    const auto found = rank.seconds.find(std::string(reason));
    const double seconds = found == rank.seconds.end() ? 0 : std::max(0.0, found->second);
    metrics->Add("pipeline_idle_seconds_total", With(stage, {{"reason", std::string(reason)}}), seconds);
  }
  metrics->Add("pipeline_busy_seconds_total", stage, std::max(0.0, rank.wall_seconds - SumOfReasons(rank)));
}

void AddBubble(double ratio, double expected, const Labels& labels, MetricSet* metrics) {
  if (!std::isfinite(ratio) || !std::isfinite(expected)) return;
  metrics->SetMax("pipeline_bubble_ratio", labels, ratio);
  metrics->SetMax("pipeline_bubble_expected_ratio", labels, expected);
}

void AddRanks(const std::vector<RankFigures>& ranks, const Labels& labels, MetricSet* metrics) {
  for (const RankFigures& rank : ranks) {
    const std::string name = ranks.size() > kMostRanks ? "all" : std::to_string(rank.rank);
    const Labels at = With(labels, {{"rank", name}});
    if (rank.memory.peak_bytes > 0) {
      metrics->SetMax("device_memory_peak_bytes", With(at, {{"category", "all"}}),
                      static_cast<double>(rank.memory.peak_bytes));
    }
    for (const auto& [category, bytes] : rank.memory.categories) {
      metrics->SetMax("device_memory_peak_bytes", With(at, {{"category", category}}), static_cast<double>(bytes));
    }
    if (!(rank.wall_seconds > 0)) continue;  // no times of virtual devices
    const Labels stage = With(labels, {{"pp_stage", std::to_string(rank.pp_stage)}});
    AddIdle(rank, stage, metrics);
  }
}

struct Steps {
  std::vector<double> seconds;
  double tokens = 0, samples = 0, flops = 0;
};

void AddSteps(const Steps& steps, const Labels& labels, MetricSet* metrics) {
  metrics->Add("steps_total", labels, static_cast<double>(steps.seconds.size()));
  metrics->Add("samples_total", labels, steps.samples);
  metrics->Add("tokens_total", labels, steps.tokens);
  metrics->Add("model_flops_total", labels, steps.flops);
  for (const double seconds : steps.seconds) metrics->Observe("step_duration_seconds", labels, seconds);
}

void AddChecks(const CaseResult& result, const Labels& strategy, MetricSet* metrics) {
  for (const CheckResult& check : result.checks) {
    const Labels labels = With(strategy, {{"check", check.check}});
    metrics->Add("equivalence_checks_total", labels, 1);
    metrics->Add("equivalence_failures_total", labels, OutcomeOf(check.status) == Outcome::kBroken ? 1 : 0);
    if (check.equality_class != "T") continue;
    const Labels ratio = With(strategy, {{"profile", result.profile}});
    metrics->SetMax("equivalence_noise_ratio", ratio, check.measured);
    metrics->SetMax("equivalence_noise_ratio_bound", ratio, check.bound);
  }
}

void AddCase(const CaseResult& result, const std::string& backend, MetricSet* metrics) {
  const std::string strategy = StrategyOf(PlanOf(result));
  const Labels labels = {{"strategy", strategy}, {"backend", backend}, {"workload", FirstWord(result.workload)}};
  AddChecks(result, {{"strategy", strategy}, {"backend", backend}}, metrics);
  for (const protocol::RankResult& rank : result.ranks) {
    if (rank.signal) metrics->Add("rank_failures_total", {{"reason", "signal"}}, 1);
    if (!rank.signal && rank.exit && *rank.exit != 0) metrics->Add("rank_failures_total", {{"reason", "exit"}}, 1);
  }
  if (!HasFigures(result)) return;
  AddRanks(RanksOf(result), labels, metrics);
  AddBubble(MedianOf(result, kBubbleRatio), MedianOf(result, kBubbleExpectedRatio), labels, metrics);
  Steps steps;
  steps.seconds = SamplesOf(result, kStepSeconds);
  steps.tokens = Sum(SamplesOf(result, kTokensPerStep));
  steps.samples = Sum(SamplesOf(result, kSamplesPerStep));
  steps.flops = Sum(SamplesOf(result, kModelFlopsPerStep));
  if (!steps.seconds.empty()) AddSteps(steps, labels, metrics);
}

// Every status of every profile has its series, zeros too, so that an alert has something to compare.
void AddTests(const Record& record, MetricSet* metrics) {
  std::set<std::string> profiles = {record.profile};
  for (const CaseResult& result : record.cases) profiles.insert(result.profile);
  if (profiles.size() > 1) profiles.erase("");
  for (const std::string& profile : profiles) {
    for (int i = 0; i <= static_cast<int>(protocol::Status::kXpass); ++i) {
      const auto status = static_cast<protocol::Status>(i);
      double count = 0;
      for (const CaseResult& result : record.cases) {
        const std::string& own = result.profile.empty() ? record.profile : result.profile;
        count += own == profile && result.status == status ? 1 : 0;
      }
      if (profile == record.profile && profiles.size() > 1 && count == 0) continue;  // a list of profiles, say
      metrics->Set("tests", {{"profile", profile}, {"status", std::string(protocol::NameOf(status))}}, count);
    }
  }
}

void AddSuite(const Record& record, MetricSet* metrics) {
  const double started = static_cast<double>(UnixTime(record.started));
  const double ended = static_cast<double>(UnixTime(record.ended));
  const Labels labels = {{"profile", record.profile}};
  if (started > 0 && ended >= started) metrics->Set("suite_duration_seconds", labels, ended - started);
  if (!record.complete || ended == 0) return;
  metrics->Set("suite_last_completion_timestamp_seconds", labels, ended);
  if (record.exit_code == 0) metrics->Set("suite_last_success_timestamp_seconds", labels, ended);
}

}  // namespace

std::string MetricsText(const Record& record) {
  MetricSet metrics;
  const std::string backend = FirstWord(TextAt(record.trainer, "name"));
  AddTool(record.tool, record.system, &metrics);
  Labels run = {{"run_id", record.run_id}, {"profile", record.profile}, {"trainer", backend}};
  if (record.fault) run["fault"] = record.fault->fault.name;  // what fails here was broken on purpose
  metrics.Set("run_info", run, 1);
  for (const char* reason : {"exit", "signal"}) metrics.Add("rank_failures_total", {{"reason", reason}}, 0);
  AddTests(record, &metrics);
  for (const CaseResult& result : record.cases) AddCase(result, backend, &metrics);
  AddSuite(record, &metrics);
  return metrics.Text();
}

std::string TrainMetricsText(const TrainSummary& summary) {
  MetricSet metrics;
  const Labels labels = {{"strategy", StrategyOf(summary.plan)},
                         {"backend", FirstWord(summary.backend)},
                         {"workload", FirstWord(summary.workload)}};
  AddTool(summary.tool, summary.system, &metrics);
  metrics.Set("run_info", {{"run_id", summary.run_id}, {"profile", "train"}, {"trainer", FirstWord(summary.backend)}},
              1);
  AddRanks(summary.ranks, labels, &metrics);
  if (summary.bubble_ratio && summary.bubble_expected_ratio) {
    AddBubble(*summary.bubble_ratio, *summary.bubble_expected_ratio, labels, &metrics);
  }
  if (!summary.virtual_devices) {
    AddSteps({summary.step_seconds, Sum(summary.tokens), Sum(summary.samples), summary.model_flops}, labels, &metrics);
  }
  if (!summary.step_seconds.empty()) metrics.Set("loss", labels, summary.last_loss);
  const auto ended = static_cast<double>(UnixTime(summary.ended));
  if (ended > 0) metrics.Set("last_step_timestamp_seconds", labels, ended);
  return metrics.Text();
}

void WriteMetrics(const std::filesystem::path& dir, const Record& record) {
  protocol::WriteFileWhole(dir / "metrics.prom", MetricsText(record));
}

void WriteTrainMetrics(const std::filesystem::path& dir, const TrainSummary& summary) {
  protocol::WriteFileWhole(dir / "metrics.prom", TrainMetricsText(summary));
}

}  // namespace lockstep::publish
