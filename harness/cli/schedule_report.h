// What `lockstep schedule simulate` prints.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "harness/schedule/file.h"
#include "harness/schedule/generate.h"
#include "harness/schedule/simulate.h"

namespace lockstep::cli {

// A table, a row a rank, each figure beside the closed form's where there is one; and the critical path.
std::string SimulationTable(const schedule::Document& document, const schedule::Simulation& simulation,
                            const std::optional<schedule::ClosedForm>& form);
nlohmann::json SimulationJson(const schedule::Document& document, const schedule::Simulation& simulation,
                              const std::optional<schedule::ClosedForm>& form);

// "4 ranks, 8 stages, 16 micro-batches"
std::string ShapeText(const protocol::Schedule& schedule);

}  // namespace lockstep::cli
