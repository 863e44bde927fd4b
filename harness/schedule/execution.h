// Runs every rank's line as far as it gets, in exact integer time: what the verifier asks "does it come to its end" and
// the simulator "when".
//
// A rank does one action at a time, in the order of its line, as soon as what the action needs is there. Where the text
// has no transfers, each F, B and I hands its result to the link when it ends. A link leads from one rank to another,
// carries one message at a time in the order in which they were sent, and delivers `latency` ticks after the last byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/schedule/costs.h"
#include "harness/schedule/index.h"

namespace lockstep::schedule {

enum class ChannelKind { kUnbounded, kBounded, kRendezvous };

// When a SEND in the text lets its rank go on: at once; when fewer than `capacity` messages wait on the channel for
// their RECV; when the other rank has come to the RECV.
struct Channels {
  ChannelKind kind = ChannelKind::kUnbounded;
  std::int64_t capacity = 1;
  bool operator==(const Channels&) const = default;
};
std::string ToString(const Channels& channels);  // "unbounded", "bounded 2", "rendezvous"

// Whether a RECV holds its rank until the message is there, or only posts a buffer and leaves the waiting to whoever
// needs the message. What runs with receives that wait runs with those that don't.
enum class Receives { kWait, kPost };

struct Span {
  std::int64_t start = 0, end = 0;
  Id cause = kNone;  // what the start waited for last: an action here or elsewhere; kNone at the beginning
};

struct Execution {
  std::vector<Span> spans;           // [id]; of actions before the cursors
  std::vector<std::size_t> cursors;  // [rank] how many actions were done
  std::vector<Id> waits_for;         // [rank] what a stuck rank waits for; kNone where it came to its end
  bool Complete() const;
};

// `index` is of a schedule that is complete and in a right order within each rank (verify.h), or comes to no end.
Execution Execute(const Index& index, const Costs& costs, const Channels& channels, Receives receives);

}  // namespace lockstep::schedule
