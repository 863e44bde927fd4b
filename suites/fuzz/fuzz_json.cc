// Any text as each of the protocol's JSON files; the first byte says which. What a reader accepts and a writer writes
// again must be accepted again, and be the same.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/protocol/evidence_files.h"
#include "harness/protocol/files.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/record.h"
#include "harness/protocol/request.h"
#include "harness/protocol/timeline.h"
#include "suites/fuzz/upholds.h"

namespace lockstep {
namespace {

template <typename Read, typename Write>
void RoundTrip(const nlohmann::json& value, Read read, Write write) {
  const nlohmann::json once = write(read(value, "fuzz"));
  const nlohmann::json twice = write(read(once, "fuzz"));
  fuzz::Demand(once == twice, "what is written is read back the same");
}

void ReadAs(char kind, const std::string& text) {
  switch (kind) {
    case 'r':
      return RoundTrip(protocol::ParseJson(text, "fuzz"), protocol::RequestFromJson, protocol::RequestToJson);
    case 'w':
      return RoundTrip(protocol::ParseJson(text, "fuzz"), protocol::WorkloadFromJson, protocol::WorkloadToJson);
    case 'p':
      return RoundTrip(protocol::ParseJson(text, "fuzz"), protocol::PlanFromJson, protocol::PlanToJson);
    case 'c':
      return RoundTrip(protocol::ParseJson(text, "fuzz"), protocol::CapabilitiesFromJson, protocol::CapabilitiesToJson);
    case 'R':
      return RoundTrip(protocol::ParseJson(text, "fuzz"), protocol::RecordFromJson, protocol::RecordToJson);
    case 'h':
      protocol::HelloFromJson(protocol::ParseJson(text, "fuzz"), "fuzz");
      return;
    case 'd':
      protocol::DoneFromJson(protocol::ParseJson(text, "fuzz"), "fuzz");
      return;
    case 'e': {
      protocol::RankEvidence rank;
      return protocol::EventsFromText(text, "fuzz", rank);
    }
    case 't': {
      const protocol::Timeline timeline = protocol::TimelineFromText(text, "fuzz");
      return fuzz::Demand(timeline == protocol::TimelineFromText(protocol::TimelineToText(timeline), "fuzz"),
                          "a timeline is read back the same");
    }
    case 's': {
      const protocol::Plan plan = protocol::ParsePlan(text);
      protocol::Plan again = protocol::ParsePlan(protocol::ToString(plan));
      if (plan.pipeline == 1) again.schedule = plan.schedule;  // without a pipeline it has no meaning and no text
      return fuzz::Demand(plan == again, "a plan's text is read back the same");
    }
    default: {
      const auto actions = protocol::ParseActions(text, "fuzz");
      return fuzz::Demand(actions == protocol::ParseActions(protocol::ToString(actions), "fuzz"),
                          "a schedule's line is read back the same");
    }
  }
}

}  // namespace
}  // namespace lockstep

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  lockstep::fuzz::ReturnsOrRefuses([&] { lockstep::ReadAs(static_cast<char>(data[0]), text); });
  return 0;
}
