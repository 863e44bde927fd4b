// Where each action of a schedule stands, and what it needs: the one place that knows the dependencies of a pipeline.
//
// Actions are numbered through all lines, rank after rank. Build() refuses what has no place: stages and micro-batches
// that don't exist, a stage on a rank that doesn't hold it, an action that is done twice. The size of its tables is
// bounded by the number of actions, whatever numbers a file holds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/schedule.h"

namespace lockstep::schedule {

// What is wrong with a schedule, and which operation: its rank, its position in the rank's line (from 0; a fused pair
// is one position, empty cells are none) and its text. rank and position are -1 where it is no one operation's fault.
struct Problem {
  std::int64_t rank = -1, position = -1;
  std::string action;
  std::string what;
};
std::string ToString(const Problem& problem);  // "rank 1, position 3, 1RECV_F1: ..."

using Id = std::int32_t;
inline constexpr Id kNone = -1;

class Index {
 public:
  // `schedule` must outlive the index.
  static std::optional<Problem> Build(const protocol::Schedule& schedule, Index* index);

  const protocol::Schedule& schedule() const { return *schedule_; }
  const std::vector<std::vector<std::int64_t>>& placement() const { return placement_; }
  const std::vector<std::size_t>& RanksOf(std::int64_t stage) const { return ranks_of_[Cast(stage)]; }
  Id size() const { return static_cast<Id>(rank_of_.size()); }
  std::size_t ranks() const { return schedule_->ranks.size(); }

  Id IdOf(std::size_t rank, std::size_t position) const { return first_[rank] + static_cast<Id>(position); }
  std::size_t Rank(Id id) const { return Cast(rank_of_[Cast(id)]); }
  std::size_t Position(Id id) const { return Cast(id - first_[Rank(id)]); }
  const protocol::Action& At(Id id) const { return schedule_->ranks[Rank(id)][Position(id)]; }

  // The action of a stage and micro-batch, or kNone.
  Id Find(std::int64_t stage, protocol::ActionKind kind, std::int64_t micro_batch) const;
  Id Backward(std::int64_t stage, std::int64_t micro_batch) const;      // B, or I where it is apart, or kNone
  Id LastBackward(std::int64_t stage, std::int64_t micro_batch) const;  // B or W
  Id AllReduce(std::int64_t stage, std::size_t rank) const;

  // Whether any send or receive is in the text; if so, they are the only transfers.
  bool has_transfers() const { return has_transfers_; }
  bool has_whole_stages() const { return has_whole_stages_; }  // UNSHARD, REDUCE_GRAD, ...
  // The other end of a send or receive, or kNone.
  Id Peer(Id id) const;
  // The transfer's two ranks, sender first; both the same where it crosses none, size_t(-1) where it leads nowhere.
  std::pair<std::size_t, std::size_t> Channel(Id id) const;

  // What must have ended, and what must have arrived, before an action can run. All of it is in the schedule once
  // Verify() has found it complete.
  struct Needs {
    std::array<Id, 3> ids{};
    std::size_t count = 0;
    const Id* begin() const { return ids.data(); }
    const Id* end() const { return ids.data() + count; }
    void Add(Id id) {
      if (id != kNone) ids[count++] = id;
    }
  };
  Needs NeedsOf(Id id) const;

  Problem At(Id id, const std::string& what) const;  // a problem at this action
  Problem MissingForward(std::int64_t stage, std::int64_t micro_batch) const;
  std::string Place(Id id) const;  // "1B0 (rank 1, position 2)"

 private:
  static std::size_t Cast(std::int64_t value) { return static_cast<std::size_t>(value); }
  std::optional<Problem> PlaceStages();
  std::optional<Problem> Count();
  std::optional<Problem> Enter(Id id);
  std::size_t Slot(std::int64_t stage, protocol::ActionKind kind, std::int64_t micro_batch) const;

  const protocol::Schedule* schedule_ = nullptr;
  std::vector<std::vector<std::int64_t>> placement_;
  std::vector<std::vector<std::size_t>> ranks_of_;  // [stage]
  std::vector<Id> first_;                           // [rank] its first action
  std::vector<std::int32_t> rank_of_;               // [id]
  std::vector<Id> of_micro_batch_;                  // [stage][micro-batch][kind]
  std::vector<std::pair<std::pair<std::int64_t, std::size_t>, Id>> all_reduces_;
  bool has_transfers_ = false, has_whole_stages_ = false;
};

bool IsTransfer(protocol::ActionKind kind);
bool IsSend(protocol::ActionKind kind);
bool IsCompute(protocol::ActionKind kind);  // F, B, I, W, RECOMPUTE, OPTIMIZER: the rank itself is busy

}  // namespace lockstep::schedule
