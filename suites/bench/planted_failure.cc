// A program of one benchmark that is measured and one that fails: its exit code must be 1.
#include <benchmark/benchmark.h>

#include "suites/bench/run.h"

namespace {

void Measured(benchmark::State& state) {
  for (auto _ : state) benchmark::ClobberMemory();
}
BENCHMARK(Measured);

void Failing(benchmark::State& state) {
  state.SkipWithError("planted");
  for (auto _ : state) benchmark::ClobberMemory();
}
BENCHMARK(Failing);

}  // namespace

int main(int argc, char** argv) { return lockstep::bench::Run(argc, argv); }
