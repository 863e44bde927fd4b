// Proves that a schedule can be run and computes what training needs, before anybody runs it.
//
// Holds for a schedule that passes:
// - every action is of a stage that its rank holds, and of a micro-batch that exists;
// - each stage does each micro-batch once: F, and either B or both I and W; all on one rank;
// - within a rank nothing stands before what it needs: B and I after F, W after I, a send after what it sends, a
// receive
//   before what takes it; computing between UNSHARD and RESHARD where they are there, OPTIMIZER after all gradients;
// - where the text has transfers, they are exactly those that stages on different ranks need, every send has its
// receive,
//   and each rank receives from another in the order in which that one sends (a channel is first in, first out);
// - the ranks' lines come to their end on channels of the asked kind. Without transfers in the text: when whoever runs
//   it adds them as lower.h does, which is right on every kind.
// It knows no durations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/schedule.h"
#include "harness/schedule/execution.h"
#include "harness/schedule/index.h"

namespace lockstep::schedule {

// Unbounded, bounded by one message, rendezvous: what a schedule is held to unless it says which channels it has.
const std::vector<Channels>& EveryKindOfChannels();

// Nothing for a right schedule, otherwise the first thing wrong.
std::optional<Problem> Verify(const protocol::Schedule& schedule, const std::vector<Channels>& channels);

// The same on every kind of channels, as text: "" for a right schedule.
std::string FirstProblem(const protocol::Schedule& schedule);

}  // namespace lockstep::schedule
