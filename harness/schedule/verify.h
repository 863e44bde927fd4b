// Proves that a schedule can be run and computes what training needs, before anybody runs it.
//
// Holds for a schedule that passes: every stage stands on rank stage mod ranks; each stage runs the forward of each
// micro-batch once, and its backward once (B, or I and W with W after I); nothing runs before what it needs, on its own
// rank or on another; every receive has its send; and the ranks' lines come to their end when channels are unbounded.
// Where the text has any transfer, those in the text are the only ones; otherwise each F and B brings its own.
// It knows no durations and no bounded channels.
#pragma once

#include <string>

#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

// "" for a right schedule, otherwise the first thing wrong, naming rank, position and operation.
std::string FirstProblem(const protocol::Schedule& schedule);

}  // namespace lockstep::schedule
