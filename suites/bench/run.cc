#include "suites/bench/run.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace lockstep::bench {
namespace {

// Prints by the reporter that the options ask for, and keeps what failed.
class Watched final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override { return shown_->ReportContext(context); }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred) failed_.push_back(run.benchmark_name() + ": " + run.error_message);
    }
    shown_->ReportRuns(runs);
  }
  void Finalize() override { shown_->Finalize(); }
  const std::vector<std::string>& failed() const { return failed_; }

 private:
  std::unique_ptr<benchmark::BenchmarkReporter> shown_{benchmark::CreateDefaultDisplayReporter()};
  std::vector<std::string> failed_;
};

}  // namespace

int Run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  Watched reporter;
  const std::size_t matched = benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  if (matched == 0) {
    std::fprintf(stderr, "no benchmark has the name that --benchmark_filter asks for\n");
    return 1;
  }
  for (const std::string& line : reporter.failed()) std::fprintf(stderr, "not measured: %s\n", line.c_str());
  return reporter.failed().empty() ? 0 : 1;
}

}  // namespace lockstep::bench
