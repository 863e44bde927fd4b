// Faults that a trainer has built in, as its manifest's `faults` command lists them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/protocol/manifest.h"

namespace lockstep::conform {

struct FaultInfo {
  std::string name, kind, mechanism, source;
  std::string workload_case;  // case that must fail: "dp.even/dp=2"
  std::string found_by;       // "check" or "watcher": the record's `stuck` must name it
  std::string check;          // check that must fail first
  std::int64_t step = 0;
  std::string phase, tensor, diagnosis;  // what must be named; "" for any
};

// Throws BadInput: the trainer has none, or its list can't be read.
std::vector<FaultInfo> ListFaults(const protocol::Manifest& manifest);
FaultInfo FindFault(const protocol::Manifest& manifest, const std::string& name);  // BadInput names the nearest one

}  // namespace lockstep::conform
