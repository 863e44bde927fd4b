// A run as Chrome trace events: what each rank did, what it waited for, who kept it, for Perfetto.
//
// A rank is a process. Its rows, from above: "time" (the steps, and in each of them where its time went: a slice a
// category, idle ones under their cause's name), "compute" (operations, reduction, norm, optimizer, evidence), "host"
// (data, handing over, waits) and "communication" (messages and collectives from their post to their end, in further
// rows where they overlap). Arrows lead from a send to its receive, and from the member of a collective that came last
// to all that it kept. Memory and activations are counters. Time 0 of the file is the run's earliest event.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "harness/stalls/attribution.h"
#include "harness/stalls/model.h"

namespace lockstep::stalls {

struct TraceWritten {
  std::int64_t slices = 0, flows = 0, counters = 0;
  std::int64_t flows_left_out = 0;  // that would lead back in time: clocks contradict each other
};

// Throws BadInput where the file can't be written, or times lie further apart than a file of nanoseconds can hold.
TraceWritten WriteChromeTrace(const std::filesystem::path& file, const Run& run, const Attribution& attribution);

}  // namespace lockstep::stalls
