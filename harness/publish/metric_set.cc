#include "harness/publish/metric_set.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <locale>
#include <sstream>
#include <stdexcept>

#include "harness/publish/text.h"

namespace lockstep::publish {
namespace {

enum class Kind { kGauge, kCounter, kHistogram };

struct Definition {
  const char* name;
  Kind kind;
  const char* help;
};

constexpr Definition kMetrics[] = {
    {"build_info", Kind::kGauge, "Version and revision of Lockstep that wrote this; always 1."},
    {"run_info", Kind::kGauge, "The run that these figures are of; always 1."},
    {"device_info", Kind::kGauge, "A device that the run used; always 1. Virtual devices are not hardware."},
    {"tests", Kind::kGauge, "Cases of the last run, by profile and status."},
    {"equivalence_checks_total", Kind::kCounter, "Checks made, by check and strategy."},
    {"equivalence_failures_total", Kind::kCounter, "Checks that did not hold, by check and strategy."},
    {"equivalence_noise_ratio", Kind::kGauge, "Largest distance from the oracle over the single run's own (R)."},
    {"equivalence_noise_ratio_bound", Kind::kGauge, "Bound that the largest R was held to."},
    {"device_memory_peak_bytes", Kind::kGauge,
     "Peak memory of a rank, by category; category all is the largest sum at one moment."},
    {"pipeline_idle_seconds_total", Kind::kCounter, "Seconds that ranks of a pipeline stage were blocked, by reason."},
    {"pipeline_busy_seconds_total", Kind::kCounter, "Seconds that ranks of a pipeline stage were not blocked."},
    {"pipeline_bubble_ratio", Kind::kGauge,
     "The schedule's bubble over the time of its steps; the largest of the cases."},
    {"pipeline_bubble_expected_ratio", Kind::kGauge,
     "The bubble that the schedule's formula allows of equal stages; the largest of the cases."},
    {"steps_total", Kind::kCounter, "Training steps made."},
    {"samples_total", Kind::kCounter, "Samples trained on, counted from the ledger."},
    {"tokens_total", Kind::kCounter, "Valid targets trained on, counted from the ledger."},
    {"model_flops_total", Kind::kCounter, "Floating-point operations of the model, recomputation not counted."},
    {"step_duration_seconds", Kind::kHistogram, "Duration of a training step, slowest rank."},
    {"loss", Kind::kGauge, "Loss of the last step."},
    {"last_step_timestamp_seconds", Kind::kGauge, "When the last step ended."},
    {"rank_failures_total", Kind::kCounter, "Ranks that ended badly, by reason."},
    {"suite_duration_seconds", Kind::kGauge, "How long the last run took."},
    {"suite_last_success_timestamp_seconds", Kind::kGauge, "When the last run in which everything held ended."},
    {"suite_last_completion_timestamp_seconds", Kind::kGauge, "When the last run that came to its end ended."},
};

// From steps of toy models on a host to steps of minutes.
const prometheus::Histogram::BucketBoundaries kStepBuckets = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

const Definition& Find(const std::string& name, Kind kind) {
  const auto* const found =
      std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](const Definition& d) { return name == d.name; });
  if (found == std::end(kMetrics) || found->kind != kind) throw std::logic_error("no such metric: " + name);
  return *found;
}

Labels Clean(const Labels& labels) {
  Labels clean;
  for (const auto& [name, value] : labels) clean[name] = OneLine(value);
  return clean;
}

template <typename Builder>
auto& FamilyOf(const Builder& builder, const Definition& definition, prometheus::Registry& registry) {
  // Registering the same name again gives the family that is there (the registry's merge behaviour).
  return Builder(builder).Name(std::string("lockstep_") + definition.name).Help(definition.help).Register(registry);
}

}  // namespace

MetricSet::MetricSet() : registry_(std::make_shared<prometheus::Registry>()) {}

void MetricSet::Set(const std::string& name, const Labels& labels, double value) {
  FamilyOf(prometheus::BuildGauge(), Find(name, Kind::kGauge), *registry_).Add(Clean(labels)).Set(value);
}

void MetricSet::SetMax(const std::string& name, const Labels& labels, double value) {
  const auto [known, fresh] = largest_.try_emplace({name, labels}, value);
  if (!fresh && (std::isnan(known->second) || value <= known->second)) return;
  known->second = value;
  Set(name, labels, value);
}

void MetricSet::Add(const std::string& name, const Labels& labels, double value) {
  FamilyOf(prometheus::BuildCounter(), Find(name, Kind::kCounter), *registry_).Add(Clean(labels)).Increment(value);
}

void MetricSet::Observe(const std::string& name, const Labels& labels, double value) {
  FamilyOf(prometheus::BuildHistogram(), Find(name, Kind::kHistogram), *registry_)
      .Add(Clean(labels), kStepBuckets)
      .Observe(value);
}

std::string MetricSet::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_->Collect();
  // The registry's order is a hash table's; files of equal figures are to be equal.
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  for (prometheus::MetricFamily& family : families) {
    std::sort(family.metric.begin(), family.metric.end(),
              [](const auto& a, const auto& b) { return a.label < b.label; });
  }
  std::ostringstream out;
  out.imbue(std::locale::classic());
  prometheus::TextSerializer().Serialize(out, families);
  return out.str();
}

}  // namespace lockstep::publish
