// How long schedules take to prove and to simulate: 64 stages by 1,024 micro-batches must be under a second together.
//
//   bench_schedule                  verify and simulate, with transfers in the text and without
//
// One thread. Counters:
//   actions           operations in the text
//   under_a_second    1 where verify and simulate together took less than one second, otherwise 0
#include <benchmark/benchmark.h>

#include <chrono>
#include <stdexcept>

#include "harness/schedule/generate.h"
#include "harness/schedule/lower.h"
#include "harness/schedule/simulate.h"
#include "harness/schedule/verify.h"
#include "suites/bench/run.h"

namespace lockstep::bench {
namespace {

constexpr std::int64_t kStages = 64, kMicroBatches = 1024;

protocol::Schedule Big(const char* name, bool transfers) {
  const schedule::Generator& generator = schedule::FindGenerator(name, "bench");
  const schedule::Shape shape{kStages / generator.min_chunks, generator.min_chunks, kMicroBatches};
  const protocol::Schedule schedule = schedule::Generate(generator, shape, "bench");
  return transfers ? schedule::WithTransfers(schedule) : schedule;
}

void VerifyAndSimulate(benchmark::State& state, const char* name, bool transfers) {
  const protocol::Schedule schedule = Big(name, transfers);
  double actions = 0, slowest = 0;
  for (const auto& line : schedule.ranks) actions += static_cast<double>(line.size());
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    if (schedule::Verify(schedule, schedule::EveryKindOfChannels())) throw std::logic_error("a right schedule refused");
    const schedule::Simulation simulation = schedule::Simulate(schedule, schedule::Costs(), schedule::Channels());
    benchmark::DoNotOptimize(simulation.makespan);
    slowest = std::max(slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  state.counters["actions"] = actions;
  state.counters["under_a_second"] = slowest < 1 ? 1 : 0;
}

BENCHMARK_CAPTURE(VerifyAndSimulate, 1f1b, "1f1b", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(VerifyAndSimulate, 1f1b_with_transfers, "1f1b", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(VerifyAndSimulate, zb_v, "zb_v", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(VerifyAndSimulate, zb_v_with_transfers, "zb_v", true)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) { return lockstep::bench::Run(argc, argv); }
