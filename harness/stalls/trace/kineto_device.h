// With a GPU, the times of a traced rank are those of its device: when its streams came to what the host asked for.
//
// A kernel belongs to the forward, backward or update during which the host launched it (by correlation number). Steps
// end when the last kernel of the step does, or the host's step, whichever is later, so that the steps fill the time.
// Collectives are NCCL's kernels: a rank has arrived when its kernel starts. The compute stream stood still for one
// where no kernel ran up to its end although the next had been launched before.
#pragma once

#include "harness/stalls/trace/kineto_rank.h"

namespace lockstep::stalls {

bool HasKernels(const ChromeTrace& trace);

// `process`: whose launches are the rank's. `rank` holds the host's times.
void MoveToDevice(const ChromeTrace& trace, std::int64_t process, TracedRank* rank);

}  // namespace lockstep::stalls
