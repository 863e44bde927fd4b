// What recording the timeline costs a step: paired runs with and without it.
//
//   bench_timeline                       pp=2, 4 micro-batches; the smallest steps that a test would run
//   bench_timeline --benchmark_repetitions=9
//
// A launch serves pairs of requests that differ in evidence.timeline alone, each pair in the other order than the one
// before, so that drift of the machine falls on both. A request's figure is the median of its steps' wall_seconds after
// the first three; a round's is the median of its pairs' ratios. Counters: on_over_off; step_ms without recording.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/inputs/make.h"
#include "harness/launch/launch.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/request.h"
#include "harness/schedule/generate.h"
#include "suites/bench/run.h"

namespace lockstep::bench {
namespace {

constexpr std::int64_t kWarmUpSteps = 3, kSteps = 60;
constexpr std::size_t kPairs = 8;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

protocol::Request SmallSteps(bool timeline) {
  protocol::Request request;
  request.id = timeline ? "bench.timeline/on" : "bench.timeline/off";
  protocol::Model& model = request.workload.model;
  model.kind = protocol::ModelKind::kGpt;
  model.layers = 4;
  model.width = 48;
  model.heads = 4;
  model.mlp_width = 4 * 48;
  model.vocabulary = 64;
  model.sequence = 32;
  request.workload.global_batch = 8;
  request.workload.steps = kSteps;
  request.plan.pipeline = 2;
  request.plan.micro_batches = 4;
  request.schedule = schedule::Generate(request.plan);
  request.evidence = {.gradients = false,
                      .clipped_gradients = false,
                      .parameters = false,
                      .optimizer_state = false,
                      .ledger = false,
                      .timeline = timeline,
                      .every = kSteps};
  return request;
}

double StepSeconds(const std::filesystem::path& folder, const protocol::Request& request) {
  const auto evidence = protocol::RunEvidence::Read(folder, request);
  std::vector<double> seconds;
  for (const auto& step : evidence.ranks().at(0).steps) {
    if (step.step > kWarmUpSteps) seconds.push_back(step.wall_seconds);
  }
  return Median(seconds);
}

// Ratios of one launch's pairs, and the median step without recording.
std::vector<double> Ratios(const protocol::Manifest& manifest, const std::filesystem::path& folder, double* step) {
  const protocol::Request requests[] = {SmallSteps(false), SmallSteps(true)};
  std::filesystem::remove_all(folder);
  launch::Job job;
  job.world_size = 2;
  const auto place = [&](std::size_t pair, bool on) { return folder / (std::to_string(pair) + (on ? "_on" : "_off")); };
  const protocol::Inputs inputs = inputs::Make(requests[0].workload);
  for (std::size_t pair = 0; pair < kPairs; ++pair) {
    for (const bool on : {pair % 2 == 0, pair % 2 != 0}) {
      std::filesystem::create_directories(place(pair, on));
      protocol::WriteRequest(place(pair, on), requests[on ? 1 : 0]);
      protocol::WriteInputs(place(pair, on), inputs);
      job.requests.push_back(place(pair, on));
    }
  }
  for (const launch::RunEnd& end : launch::Launch(manifest, job)) {
    if (end.kind != launch::EndKind::kDone) throw std::runtime_error("trainer: " + end.reason);
  }
  std::vector<double> ratios, without;
  for (std::size_t pair = 0; pair < kPairs; ++pair) {
    without.push_back(StepSeconds(place(pair, false), requests[0]));
    ratios.push_back(StepSeconds(place(pair, true), requests[1]) / without.back());
  }
  *step = Median(without);
  return ratios;
}

void Timeline(benchmark::State& state) {
  const auto folder = std::filesystem::temp_directory_path() / ("lockstep-bench-" + std::to_string(getpid()));
  const auto manifest = protocol::ReadManifest(LOCKSTEP_SOURCE_DIR "/reference/adapters/kokkos/trainer.toml");
  for (auto _ : state) {
    try {
      double step = 0;
      state.counters["on_over_off"] = Median(Ratios(manifest, folder, &step));
      state.counters["step_ms"] = step * 1e3;
      state.SetIterationTime(step);
    } catch (const std::exception& problem) {
      state.SkipWithError(problem.what());
      break;
    }
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(Timeline)->UseManualTime()->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) { return lockstep::bench::Run(argc, argv); }
