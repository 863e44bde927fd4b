#include "harness/schedule/index.h"

#include <algorithm>
#include <limits>
#include <set>

namespace lockstep::schedule {

using protocol::Action;
using protocol::ActionKind;

namespace {

constexpr std::size_t kKinds = 9;  // of a micro-batch: kForward to kRecompute
static_assert(static_cast<std::size_t>(ActionKind::kRecompute) + 1 == kKinds);

std::string Number(std::int64_t value) { return std::to_string(value); }

}  // namespace

bool IsSend(ActionKind kind) { return kind == ActionKind::kSendForward || kind == ActionKind::kSendBackward; }

bool IsTransfer(ActionKind kind) {
  return IsSend(kind) || kind == ActionKind::kReceiveForward || kind == ActionKind::kReceiveBackward;
}

bool IsCompute(ActionKind kind) {
  return kind == ActionKind::kForward || kind == ActionKind::kBackward || kind == ActionKind::kInputGradient ||
         kind == ActionKind::kWeightGradient || kind == ActionKind::kRecompute || kind == ActionKind::kOptimizer;
}

std::string ToString(const Problem& problem) {
  if (problem.rank < 0) return problem.what;
  return "rank " + Number(problem.rank) + ", position " + Number(problem.position) + ", " + problem.action + ": " +
         problem.what;
}

std::optional<Problem> Index::Build(const protocol::Schedule& schedule, Index* index) {
  *index = Index();
  index->schedule_ = &schedule;
  if (schedule.ranks.empty() || schedule.stages < 1 || schedule.micro_batches < 1)
    return Problem{-1, -1, "", "is empty"};
  if (const auto problem = index->PlaceStages()) return problem;
  std::size_t total = 0;
  for (const auto& line : schedule.ranks) {
    index->first_.push_back(static_cast<Id>(total));
    total += line.size();
    if (total > Cast(std::numeric_limits<Id>::max() / 2)) return Problem{-1, -1, "", "has too many actions"};
    index->rank_of_.resize(total, static_cast<std::int32_t>(index->first_.size() - 1));
  }
  if (const auto problem = index->Count()) return problem;
  index->of_micro_batch_.assign(Cast(schedule.stages * schedule.micro_batches) * kKinds, kNone);
  for (Id id = 0; id < index->size(); ++id) {
    if (const auto problem = index->Enter(id)) return problem;
  }
  return std::nullopt;
}

std::optional<Problem> Index::PlaceStages() {
  const auto ranks = std::ssize(schedule_->ranks);
  std::size_t actions = 0;
  for (const auto& line : schedule_->ranks) actions += line.size();
  if (schedule_->placement.empty() && schedule_->stages % ranks != 0) {
    return Problem{-1, -1, "", Number(schedule_->stages) + " stages do not divide over " + Number(ranks) + " ranks"};
  }
  if (schedule_->stages > std::ssize(schedule_->ranks) && Cast(schedule_->stages) > actions) {
    return Problem{-1, -1, "", "has " + Number(schedule_->stages) + " stages, and fewer actions"};
  }
  placement_ = PlacementOf(*schedule_);
  ranks_of_.resize(Cast(schedule_->stages));
  if (std::ssize(placement_) != ranks) return Problem{-1, -1, "", "the placement is not of as many ranks"};
  for (std::size_t rank = 0; rank < placement_.size(); ++rank) {
    for (const std::int64_t stage : placement_[rank]) {
      if (stage < 0 || stage >= schedule_->stages) return Problem{-1, -1, "", "there is no stage " + Number(stage)};
      std::vector<std::size_t>& holders = ranks_of_[Cast(stage)];
      if (!holders.empty() && holders.back() == rank) {
        return Problem{-1, -1, "",
                       "stage " + Number(stage) + " stands twice on rank " + Number(static_cast<std::int64_t>(rank))};
      }
      holders.push_back(rank);
    }
  }
  const auto nowhere = std::find_if(ranks_of_.begin(), ranks_of_.end(), [](const auto& at) { return at.empty(); });
  if (nowhere == ranks_of_.end()) return std::nullopt;
  return Problem{-1, -1, "", "stage " + Number(nowhere - ranks_of_.begin()) + " stands on no rank"};
}

// Every action names a stage of its rank and a micro-batch that exists, and there are enough forwards for the tables
// that follow to be no larger than the text.
std::optional<Problem> Index::Count() {
  std::size_t forwards = 0;
  for (Id id = 0; id < size(); ++id) {
    const Action& action = At(id);
    const bool of_micro_batch = protocol::IsOfMicroBatch(action.kind);
    if (action.stage < 0 || action.stage >= schedule_->stages) {
      return At(id, "there is no such stage; there are " + Number(schedule_->stages));
    }
    if (of_micro_batch && (action.micro_batch < 0 || action.micro_batch >= schedule_->micro_batches)) {
      return At(id, "there is no such micro-batch; there are " + Number(schedule_->micro_batches));
    }
    const std::vector<std::size_t>& holders = RanksOf(action.stage);
    if (std::find(holders.begin(), holders.end(), Rank(id)) == holders.end()) {
      return At(id,
                "stage " + Number(action.stage) + " stands on rank " + Number(static_cast<std::int64_t>(holders[0])));
    }
    has_transfers_ = has_transfers_ || IsTransfer(action.kind);
    has_whole_stages_ = has_whole_stages_ || !of_micro_batch;
    forwards += action.kind == ActionKind::kForward ? 1 : 0;
  }
  if (static_cast<double>(schedule_->stages) * static_cast<double>(schedule_->micro_batches) <=
      static_cast<double>(forwards)) {
    return std::nullopt;
  }
  std::set<std::pair<std::int64_t, std::int64_t>> seen;  // one is missing: the first is at most as far as there are
  for (Id id = 0; id < size(); ++id) {
    const Action& action = At(id);
    if (action.kind != ActionKind::kForward) continue;
    if (!seen.insert({action.stage, action.micro_batch}).second) return At(id, "executed twice");
  }
  for (std::int64_t stage = 0;; ++stage) {
    for (std::int64_t micro = 0; micro < schedule_->micro_batches; ++micro) {
      if (seen.contains({stage, micro})) continue;
      return MissingForward(stage, micro);
    }
  }
}

// Beside an action of the same micro-batch, which is what says that there is such a one.
Problem Index::MissingForward(std::int64_t stage, std::int64_t micro_batch) const {
  const std::string name = protocol::ToString(Action{stage, ActionKind::kForward, micro_batch});
  for (Id id = 0; id < size(); ++id) {
    if (At(id).micro_batch != micro_batch) continue;
    return At(id, "the forward of its micro-batch on stage " + Number(stage) + ", " + name + ", is never computed");
  }
  return Problem{-1, -1, "", "micro-batch " + Number(micro_batch) + ": the forward, " + name + ", is never computed"};
}

std::optional<Problem> Index::Enter(Id id) {
  const Action& action = At(id);
  if (!protocol::IsOfMicroBatch(action.kind)) {
    if (action.kind == ActionKind::kAllReduce) {
      if (AllReduce(action.stage, Rank(id)) != kNone) return At(id, "executed twice");
      all_reduces_.push_back({{action.stage, Rank(id)}, id});
    }
    return std::nullopt;
  }
  Id& slot = of_micro_batch_[Slot(action.stage, action.kind, action.micro_batch)];
  if (slot != kNone) return At(id, "executed twice; the first is " + Place(slot));
  slot = id;
  return std::nullopt;
}

std::size_t Index::Slot(std::int64_t stage, ActionKind kind, std::int64_t micro_batch) const {
  return Cast(stage * schedule_->micro_batches + micro_batch) * kKinds + static_cast<std::size_t>(kind);
}

Id Index::Find(std::int64_t stage, ActionKind kind, std::int64_t micro_batch) const {
  if (stage < 0 || stage >= schedule_->stages) return kNone;
  return of_micro_batch_[Slot(stage, kind, micro_batch)];
}

Id Index::Backward(std::int64_t stage, std::int64_t micro_batch) const {
  const Id whole = Find(stage, ActionKind::kBackward, micro_batch);
  return whole != kNone ? whole : Find(stage, ActionKind::kInputGradient, micro_batch);
}

Id Index::LastBackward(std::int64_t stage, std::int64_t micro_batch) const {
  const Id whole = Find(stage, ActionKind::kBackward, micro_batch);
  return whole != kNone ? whole : Find(stage, ActionKind::kWeightGradient, micro_batch);
}

Id Index::AllReduce(std::int64_t stage, std::size_t rank) const {
  for (const auto& [at, id] : all_reduces_) {
    if (at == std::pair(stage, rank)) return id;
  }
  return kNone;
}

Id Index::Peer(Id id) const {
  const Action& action = At(id);
  switch (action.kind) {
    case ActionKind::kSendForward:
      return Find(action.stage + 1, ActionKind::kReceiveForward, action.micro_batch);
    case ActionKind::kReceiveForward:
      return Find(action.stage - 1, ActionKind::kSendForward, action.micro_batch);
    case ActionKind::kSendBackward:
      return Find(action.stage - 1, ActionKind::kReceiveBackward, action.micro_batch);
    case ActionKind::kReceiveBackward:
      return Find(action.stage + 1, ActionKind::kSendBackward, action.micro_batch);
    default:
      return kNone;
  }
}

std::pair<std::size_t, std::size_t> Index::Channel(Id id) const {
  const Action& action = At(id);
  const bool to_next = action.kind == ActionKind::kSendForward || action.kind == ActionKind::kReceiveBackward;
  const std::int64_t other = action.stage + (to_next ? 1 : -1);
  // The rank that has the other stage's part in this micro-batch is the one that computes its forward.
  const Id there = Find(other, ActionKind::kForward, action.micro_batch);
  const std::size_t rank = there == kNone ? static_cast<std::size_t>(-1) : Rank(there);
  return IsSend(action.kind) ? std::pair(Rank(id), rank) : std::pair(rank, Rank(id));
}

Index::Needs Index::NeedsOf(Id id) const {
  const Action& action = At(id);
  const std::int64_t s = action.stage, i = action.micro_batch;
  Needs needs;
  // What another stage computed: the receive of it where the text has transfers and it comes from another rank.
  const auto arrival = [&](Id computed, ActionKind receive) {
    const bool by_text = computed != kNone && has_transfers_ && Rank(computed) != Rank(id);
    return by_text ? Find(s, receive, i) : computed;
  };
  switch (action.kind) {
    case ActionKind::kForward:
      if (s > 0) needs.Add(arrival(Find(s - 1, ActionKind::kForward, i), ActionKind::kReceiveForward));
      break;
    case ActionKind::kBackward:
    case ActionKind::kInputGradient:
      needs.Add(Find(s, ActionKind::kForward, i));
      needs.Add(Find(s, ActionKind::kRecompute, i));
      if (s + 1 < schedule_->stages) needs.Add(arrival(Backward(s + 1, i), ActionKind::kReceiveBackward));
      break;
    case ActionKind::kWeightGradient:
      needs.Add(Find(s, ActionKind::kInputGradient, i));
      break;
    case ActionKind::kSendForward:
    case ActionKind::kRecompute:
      needs.Add(Find(s, ActionKind::kForward, i));
      break;
    case ActionKind::kSendBackward:
      needs.Add(Backward(s, i));
      break;
    case ActionKind::kReceiveForward:
    case ActionKind::kReceiveBackward:
      needs.Add(Peer(id));
      break;
    case ActionKind::kAllReduce:
    case ActionKind::kGather:
    case ActionKind::kReshard:
    case ActionKind::kOptimizer:
      break;  // their place in their own line is all
  }
  return needs;
}

Problem Index::At(Id id, const std::string& what) const {
  const auto& line = schedule_->ranks[Rank(id)];
  std::int64_t position = 0;
  for (std::size_t i = 0; i < Position(id); ++i) position += line[i].with_next ? 0 : 1;
  return {static_cast<std::int64_t>(Rank(id)), position, protocol::ToString(At(id)), what};
}

std::string Index::Place(Id id) const {
  const Problem at = At(id, "");
  return at.action + " (rank " + Number(at.rank) + ", position " + Number(at.position) + ")";
}

}  // namespace lockstep::schedule
