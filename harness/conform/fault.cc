#include "harness/conform/fault.h"

#include <nlohmann/json.hpp>

#include "harness/launch/launch.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::conform {

std::vector<FaultInfo> ListFaults(const protocol::Manifest& manifest) {
  if (manifest.faults.empty() || manifest.faulty_launch.empty()) {
    throw protocol::BadInput("trainer '" + manifest.name + "'", "has no faults built in",
                             "its manifest needs `faults` and `faulty_launch`");
  }
  const std::string where = manifest.name + ": faults";
  const nlohmann::json list = protocol::ParseJson(launch::Capture(manifest, manifest.faults, 60), where);
  if (!list.is_array()) throw protocol::BadInput(where, "is not an array");
  std::vector<FaultInfo> faults;
  for (const nlohmann::json& each : list) {
    protocol::Fields row(each, where + "[" + std::to_string(faults.size()) + "]");
    FaultInfo fault;
    fault.name = row.String("name");
    fault.kind = row.String("kind");
    fault.mechanism = row.String("mechanism");
    fault.source = row.String("source", "");
    fault.workload_case = row.String("workload_case");
    fault.found_by = row.Choice("found_by", {"check", "watcher"}, "check");
    fault.check = fault.found_by == "check" ? row.String("check") : row.String("check", "");
    fault.step = row.Int("step", 0, 1 << 30, 0);
    fault.phase = row.String("phase", "");
    fault.tensor = row.String("tensor", "");
    fault.diagnosis = row.String("diagnosis", "");
    row.Done();
    faults.push_back(fault);
  }
  return faults;
}

FaultInfo FindFault(const protocol::Manifest& manifest, const std::string& name) {
  std::vector<std::string> names;
  for (const FaultInfo& fault : ListFaults(manifest)) {
    if (fault.name == name) return fault;
    names.push_back(fault.name);
  }
  const std::string near = protocol::Nearest(name, names);
  throw protocol::BadInput("--fault", "no fault is called '" + name + "'",
                           near.empty() ? "see `lockstep list faults`" : "did you mean '" + near + "'?");
}

}  // namespace lockstep::conform
