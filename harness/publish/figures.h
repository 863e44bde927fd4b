// Figures of one run, read off its evidence: memory by rank and category, idle time by rank, tokens counted from the
// ledger, seconds a step.
//
// Virtual devices are not hardware: of a run on them memory and counts are published, and no time or rate.
// One place for both users: `conform` puts them into a case, `train` into its summary, and both publish the same
// metrics. It knows evidence and records; it judges nothing.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/protocol/evidence.h"
#include "harness/protocol/plan.h"
#include "harness/protocol/record.h"

namespace lockstep::publish {

// Names of the measures in CaseResult::performance.
inline constexpr const char* kStepSeconds = "step_duration";          // s, a step (slowest rank)
inline constexpr const char* kTokensPerStep = "tokens_per_step";      // valid targets of the global batch, a step
inline constexpr const char* kSamplesPerStep = "samples_per_step";    // samples of the global batch, a step
inline constexpr const char* kTokensPerSecond = "tokens_per_second";  // of each step
inline constexpr const char* kBubbleRatio = "bubble_ratio";           // bubble over time, of a pipeline
inline constexpr const char* kBubbleExpectedRatio = "bubble_expected_ratio";  // the schedule's formula, equal stages
inline constexpr const char* kModelFlopsPerStep = "model_flops_per_step";     // FLOP; mean over the steps

double Median(std::vector<double> values);  // NaN of none

// One measure as a record holds it. The first `warmup` of `samples` don't count for the median nor for n.
nlohmann::json Measure(const std::string& name, const std::string& unit, const std::string& better,
                       const std::vector<double>& samples, std::int64_t warmup);

struct RankFigures {
  std::int64_t rank = 0;
  std::int64_t pp_stage = 0;  // pipeline rank
  protocol::MemoryPeak memory;
  double wall_seconds = 0, busy_seconds = 0, idle_seconds = 0;
  std::map<std::string, double> seconds;  // where the time went, by category; empty: the trainer left no timeline
};

// Categories of a rank's time in which it waits for others, or that nothing tells of. "untraced": idle time of steps
// that the timeline no longer holds.
inline constexpr std::array<std::string_view, 6> kIdleReasons = {"bubble",   "imbalance",    "straggler",
                                                                 "transfer", "unattributed", "untraced"};
double SumOfReasons(const RankFigures& rank);

// Where the time of a run went, by rank; whoever attributes it gives it here. Empty where nobody can.
struct TimeFigures {
  std::vector<std::map<std::string, double>> seconds;  // by rank, by category
  std::optional<double> bubble_ratio, bubble_expected_ratio;
};

// What `lockstep train` tells at its end, and what its metrics are made of.
struct TrainSummary {
  std::string run_id, backend;  // backend: the trainer's name, "kokkos"
  std::string workload;         // "gpt fp32": first word is the metrics' label
  std::string started, ended;   // ISO 8601, UTC
  protocol::Plan plan;
  bool complete = false;         // every step asked for was made
  bool virtual_devices = false;  // then no time of it is published: it would say nothing of the device's kind
  std::int64_t last_step = 0;
  std::vector<double> step_seconds;  // of each step made, slowest rank; not published of virtual devices
  std::vector<double> tokens;        // of each step made, from the ledger
  std::vector<double> samples;       // of each step made, from the ledger
  double model_flops = 0;            // of all steps made
  double first_loss = 0, last_loss = 0;
  double seconds = 0;  // of the whole run, start-up with it
  std::vector<RankFigures> ranks;
  std::optional<double> bubble_ratio, bubble_expected_ratio;  // of a pipeline
  nlohmann::json tool, system;
};

// Not where devices are virtual: no time of theirs is published.
void AddTimes(const TimeFigures& times, TrainSummary* summary);

// Fills last_step, step_seconds, tokens, samples, model_flops, losses, plan and ranks. Each global sample counts once:
// its last-stage rank of tensor rank 0 reports it. Without a ledger tokens come from the step events' valid_tokens.
TrainSummary Summarize(const protocol::RunEvidence& evidence);
// The same of a run that may have been cut short: ranks without done.json, steps that only some ranks ended.
TrainSummary Summarize(const protocol::Request& request, const std::vector<protocol::RankEvidence>& ranks);

// "gpt fp32 adamw": kind of model ("own:NAME" for a trainer's own), precision, optimizer. For CaseResult::workload.
std::string WorkloadName(const protocol::Workload& workload);

// Fills a case's memory, pipeline and performance, and its workload's name where it has none. The first step is warm-up
// where there are more.
void FillFigures(const protocol::RunEvidence& evidence, const TimeFigures& times, protocol::CaseResult* result);

// Memory by rank and category, idle time by rank, tokens/s, loss: a few lines, ends in a newline.
std::string TrainText(const TrainSummary& summary, bool color);

std::string TrainMetricsText(const TrainSummary& summary);
void WriteTrainMetrics(const std::filesystem::path& dir, const TrainSummary& summary);  // metrics.prom

}  // namespace lockstep::publish
