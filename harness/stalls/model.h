// The timelines of all ranks of one run, joined: messages matched at both ends, collectives matched by group and
// number, all on clocks that no message contradicts. What attribution (attribution.h), trace export and import share.
//
//   timelines of the ranks -> Join -> Run -> Attribute -> Attribution
//
// Whoever has timelines can join them: a run's evidence, or a trace of another tool brought into the same words. Times
// are seconds on the ranks' common clock. What doesn't fit (an end of a message that nobody has the other of) stays in
// its rank's timeline, joins nothing, and is told in `doubts`. It judges nothing and knows no category.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/protocol/plan.h"
#include "harness/protocol/request.h"
#include "harness/protocol/schedule.h"
#include "harness/protocol/timeline.h"

namespace lockstep::stalls {

struct Message {
  std::int64_t step = 0;
  bool backward = false;
  std::int64_t source_stage = 0, target_stage = 0, micro_batch = 0, bytes = 0;
  std::int64_t sender = 0, receiver = 0;  // ranks of the world
  std::size_t send_index = 0;             // in ranks[sender].messages
  std::size_t receive_index = 0;          // in ranks[receiver].messages
};

struct Arrival {
  std::int64_t rank = 0;  // of the world
  std::size_t index = 0;  // in ranks[rank].collectives
};

struct Collective {
  std::int64_t step = 0;
  std::string group, operation;
  std::int64_t number = 0, bytes = 0;
  std::vector<Arrival> members;  // all of the group, by rank
  std::size_t last = 0;          // in members: whoever came last
};

struct ClockOfRank {
  double uncertainty = 0;  // seconds, either way, as the rank says
  double moved = 0;        // seconds that causality added to the rank's times; never more than both uncertainties allow
};

struct Run {
  std::string name;  // for people
  protocol::Plan plan;
  protocol::Schedule schedule;
  std::vector<protocol::Timeline> ranks;       // by rank of the world, clocks already moved
  std::int64_t first_step = 1, last_step = 0;  // that every rank holds whole
  std::vector<Message> messages;               // of those steps
  std::vector<Collective> collectives;         // of those steps
  std::vector<ClockOfRank> clocks;             // by rank
  double contradicted = 0;                     // seconds by which a message still ends before it began; 0 if none
  std::vector<std::string> doubts;             // what did not fit, one sentence each

  const protocol::TimelineMessage& SendOf(const Message& message) const;
  const protocol::TimelineMessage& ReceiveOf(const Message& message) const;
  const protocol::TimelineCollective& At(const Arrival& arrival) const;
};

// Throws BadInput where ranks are missing, or have no step in common. `name` is for people.
Run Join(const std::string& name, const protocol::Plan& plan, const protocol::Schedule& schedule,
         std::vector<protocol::Timeline> timelines);

// A run's evidence: the folder of its request. Throws BadInput: no request, a rank without timeline.jsonl, ...
Run ReadRun(const std::filesystem::path& request_folder);

}  // namespace lockstep::stalls
