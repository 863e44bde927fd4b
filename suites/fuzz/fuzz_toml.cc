// Any text as a workload, a plan and a trainer's manifest.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/protocol/files.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/plan.h"
#include "harness/protocol/workload.h"
#include "suites/fuzz/upholds.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using lockstep::fuzz::ReturnsOrRefuses;
  nlohmann::json value;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (!ReturnsOrRefuses([&] { value = lockstep::protocol::ParseToml(text, "fuzz"); })) return 0;
  ReturnsOrRefuses([&] { lockstep::protocol::WorkloadFromJson(value, "fuzz"); });
  ReturnsOrRefuses([&] { lockstep::protocol::PlanFromJson(value, "fuzz"); });
  ReturnsOrRefuses([&] { lockstep::protocol::ManifestFromJson(value, "fuzz"); });
  return 0;
}
