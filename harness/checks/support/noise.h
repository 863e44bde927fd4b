// T: losses, gradients and parameters beside the oracle, each difference over the noise of the single run
// (numerics.md; the ratio's floor and ceiling are in tolerance.h).
//
// First look: everything beside the oracle's own trajectory, which is there already.
// Second look, on alarm after step 1: runs drift apart by themselves (a ReLU that is almost zero, an AdamW update whose
// gradient is almost zero), so the oracle makes that step anew from the run's own parameters, and from the single's.
// Drift plays no part there, and every fault of that step still shows.
// Third look, on alarm still: the single run is one draw of the noise, and where the step is ill conditioned it can be
// small by chance. How far rounding can move the step is then asked of the oracle itself (perturbed.h), and the larger
// counts. Parameters under AdamW are not compared by T at all: an element whose gradient is noise moves by a whole
// learning rate in either direction, in right runs too; optimizer_replay judges them.
#pragma once

#include "harness/checks/support/verdict.h"

namespace lockstep::checks {

// Compares every step of `run`; reports the first step that alarms (the largest ratio goes into Measure) and stops
// there.
void CompareToNoise(const Input& input, const protocol::RunEvidence& run, const protocol::RunEvidence& single,
                    Verdict& verdict);

}  // namespace lockstep::checks
