// The trace that candidates are compared with: the oracle's, or for an own model the trainer's own fp64 run.
#pragma once

#include <filesystem>

#include "harness/oracle/oracle.h"
#include "harness/protocol/evidence.h"

namespace lockstep::conform {

// Reads a run of one rank as a trace. Throws BadInput where a step or a tensor is missing.
oracle::Trace TraceOf(const protocol::RunEvidence& reference);

}  // namespace lockstep::conform
