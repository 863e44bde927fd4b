// Where the stages of a schedule stand, and which messages its lines make ranks send: everything that one rank has to
// know of the others' lines.
//
// A link is one direction between two pipeline ranks, for activations or for their gradients. Its messages are listed
// in the order in which the sending rank computes them; the receiving rank posts its receives in that order, whatever
// its own line says, because messages of a link arrive in the order in which they were sent. Where a stage stands on
// two ranks (DualPipe), each micro-batch passes through the one whose line computes it. It reads lines of F, B, I and W
// alone and trusts them; that they can be run is for the verifier to say.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "harness/protocol/schedule.h"

namespace lockstep::trainer {

struct LinkMessage {
  std::int64_t source = 0, target = 0;  // stages
  std::int64_t micro_batch = 0;
};

struct Link {
  std::int64_t from = 0, to = 0;  // pipeline ranks
  bool backward = false;
  std::vector<LinkMessage> messages;  // as sent in one step
};

class Wiring {
 public:
  explicit Wiring(const protocol::Schedule& schedule);

  std::int64_t stages() const { return stages_; }
  // Pipeline rank that computes the stage for the micro-batch; -1: no line does.
  std::int64_t RankOf(std::int64_t stage, std::int64_t micro_batch) const;
  // Stages that a rank holds, and ranks that hold a stage, ascending.
  std::vector<std::int64_t> StagesOn(std::int64_t rank) const;
  std::vector<std::int64_t> RanksOf(std::int64_t stage) const;
  bool StandsOn(std::int64_t stage, std::int64_t rank) const { return standing_.contains({stage, rank}); }
  // Ordered by (backward, from, to).
  const std::vector<Link>& links() const { return links_; }

 private:
  void AddMessage(const protocol::Action& action, std::int64_t from);

  std::int64_t stages_ = 0;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> rank_of_;  // (stage, micro-batch) -> rank
  std::set<std::pair<std::int64_t, std::int64_t>> standing_;               // (stage, rank)
  std::vector<Link> links_;
};

}  // namespace lockstep::trainer
