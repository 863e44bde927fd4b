// Any text as a trace of another profiler: read, brought into a run alone and beside itself, attributed, and what is
// attributed adds up to the steps.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/stalls/attribution.h"
#include "harness/stalls/trace/chrome_reader.h"
#include "harness/stalls/trace/kineto.h"
#include "suites/fuzz/upholds.h"

namespace lockstep {
namespace {

constexpr double kWithin = 1e-3;  // of a step
constexpr double kClock = 1e-6;   // seconds that a double holds of years

void Use(const stalls::Run& run) {
  const stalls::Attribution attribution = stalls::Attribute(run);
  for (const stalls::RankStep& step : attribution.steps) {
    double sum = 0;
    for (const double seconds : step.seconds) sum += seconds;
    fuzz::Demand(std::abs(sum - step.wall) <= kWithin * step.wall + kClock, "categories add up to the step");
  }
}

void Read(const std::string& text) {
  stalls::TracedRank alone = stalls::RankOfTrace(stalls::ChromeTraceFromText(text, "fuzz"));
  alone.rank = alone.world_size = std::nullopt;
  fuzz::ReturnsOrRefuses([&] { Use(stalls::RunOfTraces("fuzz", {alone})); });
  stalls::TracedRank elsewhere = alone;
  elsewhere.host = "elsewhere";
  fuzz::ReturnsOrRefuses([&] { Use(stalls::RunOfTraces("fuzz", {alone, elsewhere})); });
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  lockstep::fuzz::ReturnsOrRefuses([&] { lockstep::Read(text); });
  return 0;
}
