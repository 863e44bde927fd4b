// Faults that a trainer has built in, as its manifest's `faults` command lists them, and whether a run found one for
// the reason that it declares.
#pragma once

#include <string>
#include <vector>

#include "harness/protocol/fault.h"
#include "harness/protocol/manifest.h"
#include "harness/protocol/record.h"

namespace lockstep::conform {

// Throws BadInput: the trainer has none, or its list can't be read.
std::vector<protocol::Fault> ListFaults(const protocol::Manifest& manifest);
// BadInput names the nearest one.
protocol::Fault FindFault(const protocol::Manifest& manifest, const std::string& name);

// What came of it: the fault's own case must fail first by the check that is declared, at that step, phase and tensor,
// in those words. A failure for another reason is told as that.
protocol::FaultResult JudgeFault(const protocol::Fault& fault, const std::vector<protocol::CaseResult>& cases);

}  // namespace lockstep::conform
