// Throughput of a whole trainer, beside what the machine's own matrix product gives in the same run.
//
//   bench_trainer                       interleaved rounds: sgemm, one rank, two data-parallel ranks
//   bench_trainer --trainer FILE.toml   another trainer's manifest
//   bench_trainer --most-ranks 1        where there are devices for one rank alone: two_over_one is left out
//
// gpt of 6 layers, width 384, 6 heads, T = 128, V = 256, 8 sequences a rank and step, fp32, one thread a rank. A round
// times oneDNN's sgemm at 1024 x 1024 x 1024, then launches the trainer on one rank and on two; a rank's figure is the
// median of its steps' wall_seconds after the first three. Model FLOPs are counted as PROTOCOL.md says. Counters:
//   model_gflops, sgemm_gflops, of_sgemm   one rank's model FLOP/s over sgemm's, this round
//   two_over_one                           tokens a second of two ranks over one's, this round
#include <benchmark/benchmark.h>
#include <dnnl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/inputs/make.h"
#include "harness/launch/launch.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/request.h"
#include "harness/schedule/generate.h"
#include "suites/bench/run.h"

namespace lockstep::bench {
namespace {

constexpr std::int64_t kWarmUpSteps = 3;
constexpr std::int64_t kSteps = 13;
constexpr std::int64_t kSequences = 8;  // a rank and step

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// FLOP/s of oneDNN's single-precision product at 1024 cubed, median of nine.
double SgemmFlops() {
  constexpr std::int64_t n = 1024;
  std::vector<float> a(n * n, 0.5f), b(n * n, 0.25f), c(n * n);
  std::vector<double> seconds;
  for (int i = 0; i < 10; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    if (dnnl_sgemm('N', 'N', n, n, n, 1.0f, a.data(), n, b.data(), n, 0.0f, c.data(), n) != dnnl_success) {
      throw std::runtime_error("dnnl_sgemm failed");
    }
    const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (i > 0) seconds.push_back(passed);
  }
  return 2.0 * n * n * n / Median(seconds);
}

protocol::Request ThroughputRequest(std::int64_t replicas) {
  protocol::Request request;
  request.id = "bench.gpt/dp=" + std::to_string(replicas);
  protocol::Model& model = request.workload.model;
  model.kind = protocol::ModelKind::kGpt;
  model.layers = 6;
  model.width = 384;
  model.heads = 6;
  model.mlp_width = 4 * 384;
  model.vocabulary = 256;
  model.sequence = 128;
  request.workload.global_batch = kSequences * replicas;
  request.workload.steps = kSteps;
  request.plan.data = replicas;
  request.plan.bucket_bytes = 4 << 20;
  request.schedule = schedule::Generate(request.plan);
  request.evidence = {.gradients = false,
                      .clipped_gradients = false,
                      .parameters = false,
                      .optimizer_state = false,
                      .ledger = true,
                      .every = kSteps};
  return request;
}

// Median seconds of a step, or an error in words.
double StepSeconds(const protocol::Manifest& manifest, std::int64_t replicas, const std::filesystem::path& folder) {
  const protocol::Request request = ThroughputRequest(replicas);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  protocol::WriteRequest(folder, request);
  protocol::WriteInputs(folder, inputs::Make(request.workload));
  launch::Job job;
  job.requests = {folder};
  job.world_size = replicas;
  const auto ends = launch::Launch(manifest, job);
  if (ends.size() != 1 || ends[0].kind != launch::EndKind::kDone) {
    throw std::runtime_error("trainer: " + (ends.empty() ? std::string("did not start") : ends[0].reason));
  }
  const auto evidence = protocol::RunEvidence::Read(folder, request);
  std::vector<double> seconds;
  for (const auto& step : evidence.ranks().at(0).steps) {
    if (step.step > kWarmUpSteps) seconds.push_back(step.wall_seconds);
  }
  return Median(seconds);
}

void TrainerThroughput(benchmark::State& state, const protocol::Manifest& manifest, bool two_ranks) {
  const auto folder = std::filesystem::temp_directory_path() / ("lockstep-bench-" + std::to_string(getpid()));
  const protocol::Workload workload = ThroughputRequest(1).workload;
  const double tokens = static_cast<double>(kSequences * workload.model.sequence);
  const double flops = protocol::ModelFlops(workload.model, tokens);
  for (auto _ : state) {
    try {
      const double sgemm = SgemmFlops();
      const double one = StepSeconds(manifest, 1, folder);
      state.SetIterationTime(one);
      state.counters["sgemm_gflops"] = sgemm * 1e-9;
      state.counters["model_gflops"] = flops / one * 1e-9;
      state.counters["of_sgemm"] = flops / one / sgemm;
      state.counters["tokens_per_second"] = tokens / one;
      if (two_ranks) state.counters["two_over_one"] = 2 * one / StepSeconds(manifest, 2, folder);
    } catch (const std::exception& problem) {
      state.SkipWithError(problem.what());
      break;
    }
  }
  std::filesystem::remove_all(folder);
}

// The value of an option that Google Benchmark does not know, taken out of the arguments; `otherwise` without it.
std::string Take(const char* option, const std::string& otherwise, int* argc, char** argv) {
  for (int i = 1; i + 1 < *argc; ++i) {
    if (std::strcmp(argv[i], option) != 0) continue;
    const std::string value = argv[i + 1];
    std::copy(argv + i + 2, argv + *argc + 1, argv + i);
    *argc -= 2;
    return value;
  }
  return otherwise;
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  using lockstep::bench::Take;
  const std::string file =
      Take("--trainer", LOCKSTEP_SOURCE_DIR "/reference/adapters/kokkos/trainer.toml", &argc, argv);
  const std::string most_ranks = Take("--most-ranks", "2", &argc, argv);
  if (most_ranks.empty() || most_ranks.find_first_not_of("0123456789") != std::string::npos || most_ranks[0] == '0') {
    std::fprintf(stderr, "bench_trainer: --most-ranks %s: expected a number, 1 or more\n", most_ranks.c_str());
    return 2;
  }
  try {
    const auto manifest = lockstep::protocol::ReadManifest(file);
    benchmark::RegisterBenchmark("TrainerThroughput/gpt_6x384", lockstep::bench::TrainerThroughput, manifest,
                                 most_ranks != "1")
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
    return lockstep::bench::Run(argc, argv);
  } catch (const lockstep::protocol::BadInput& problem) {
    std::fprintf(stderr, "bench_trainer: %s\n", problem.what());
    return 2;
  }
}
