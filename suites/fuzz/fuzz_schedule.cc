// Any text as a file of a schedule, Lockstep's or torch's. What is read is written and read back the same; the verifier
// says yes or no to it; what it says yes to is lowered, simulated and drawn.
#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/schedule/draw.h"
#include "harness/schedule/lower.h"
#include "harness/schedule/simulate.h"
#include "harness/schedule/verify.h"
#include "suites/fuzz/upholds.h"

namespace lockstep {
namespace {

constexpr std::int64_t kDrawn = 2000;  // ticks of a drawing

bool HasTransfers(const protocol::Schedule& schedule) {
  for (const auto& line : schedule.ranks) {
    for (const protocol::Action& action : line) {
      if (schedule::IsTransfer(action.kind)) return true;
    }
  }
  return false;
}

void Use(const schedule::Document& document) {
  const std::vector<schedule::Channels> channels =
      document.channels ? std::vector<schedule::Channels>{*document.channels} : schedule::EveryKindOfChannels();
  if (const auto problem = schedule::Verify(document.schedule, channels)) {
    fuzz::Demand(!ToString(*problem).empty(), "a refusal says why");
    return;
  }
  if (!HasTransfers(document.schedule)) {
    const protocol::Schedule lowered = schedule::WithTransfers(document.schedule);
    fuzz::Demand(schedule::FirstProblem(lowered).empty(), "a right schedule with its transfers is right");
  }
  const schedule::Simulation simulation =
      schedule::Simulate(document.schedule, document.costs, document.channels.value_or(schedule::Channels()));
  for (const schedule::RankFigures& rank : simulation.ranks) {
    fuzz::Demand(rank.busy >= 0 && rank.span_idle >= 0 && rank.makespan_idle >= rank.span_idle, "idle time adds up");
    fuzz::Demand(rank.peak_activations >= 0 && rank.peak_bytes >= 0, "memory is not less than none");
  }
  const schedule::Picture picture = schedule::PictureOf(document.schedule, simulation);
  fuzz::ReturnsOrRefuses([&] { schedule::DrawSvg(picture, {0, kDrawn}); });
  fuzz::ReturnsOrRefuses([&] { schedule::DrawForTerminal(picture, {true, 80, {0, kDrawn}}); });
}

void Read(const std::string& text) {
  const schedule::Document document = schedule::ParseDocument(text, "fuzz", "fuzz");
  schedule::Document again = schedule::ParseDocument(schedule::ToText(document), "fuzz", "other");
  again.from_torch = document.from_torch;
  fuzz::Demand(again == document, "what is written is read back the same");
  Use(document);
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  lockstep::fuzz::ReturnsOrRefuses([&] { lockstep::Read(text); });
  return 0;
}
