// Adds communication to a schedule of computing alone, and takes it away again.
#pragma once

#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

// A verified schedule without transfers, with SEND and RECV wherever a stage's input comes from another rank, and with
// REDUCE_GRAD at the end of the lines for stages that stand on several ranks.
//
// All ranks' actions are merged into one order by the time at which they start when F, I and W take a tick each; a
// message stands in it where its sender ends, and both ends of it are written there into their ranks' lines. Whatever
// follows that order meets no cycle of waits, so the result runs on channels of every kind; and no rank waits for a
// message before it has done all that it could do meanwhile.
protocol::Schedule WithTransfers(const protocol::Schedule& schedule);

// F, B, I, W and fused pairs alone.
protocol::Schedule ComputeOnly(const protocol::Schedule& schedule);

}  // namespace lockstep::schedule
