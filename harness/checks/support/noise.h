// T: losses, gradients and parameters beside the oracle, each difference over the noise of the single run
// (numerics.md; the ratio's floor and ceiling are in tolerance.h).
//
// First look: everything beside the oracle's own trajectory, which is there already. From step 2 on runs drift apart by
// themselves: a ReLU that is almost zero, an AdamW update whose gradient is almost zero. So what alarms at a step > 1
// gets a second look: the oracle makes that step anew from the run's own parameters (and the single's from its own),
// where drift plays no part and every fault of that step still shows. Parameters under AdamW are not compared by T at
// all: an element whose gradient is noise moves by a whole learning rate in either direction, in right runs too;
// optimizer_replay judges them.
#pragma once

#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

// Compares every step of `run`; reports the first step that alarms (the largest ratio goes into Measure) and stops
// there.
void CompareToNoise(const Input& input, const protocol::RunEvidence& run, const protocol::RunEvidence& single,
                    Verdict& verdict);

}  // namespace lockstep::checks
