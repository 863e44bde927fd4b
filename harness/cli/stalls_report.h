// What `lockstep stalls` prints: where the time of a run went, what was to blame, what would help.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/stalls/advice.h"
#include "harness/stalls/attribution.h"
#include "harness/stalls/model.h"

namespace lockstep::cli {

struct StallsReport {
  const stalls::Run& run;
  const stalls::Attribution& attribution;
  stalls::Allowance allowance;
  std::vector<stalls::Advice> advice;
};

std::string StallsText(const StallsReport& report, bool every_step);
nlohmann::json StallsJson(const StallsReport& report);

}  // namespace lockstep::cli
