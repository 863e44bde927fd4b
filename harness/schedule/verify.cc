#include "harness/schedule/verify.h"

#include <algorithm>
#include <functional>
#include <map>

#include "harness/schedule/wait.h"

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;

std::string Name(std::int64_t stage, ActionKind kind, std::int64_t micro_batch) {
  return protocol::ToString(Action{stage, kind, micro_batch});
}

class Verifier {
 public:
  explicit Verifier(const Index& index) : index_(index), schedule_(index.schedule()) {}

  std::optional<Problem> FirstProblem() const {
    for (const auto check : {&Verifier::Completeness, &Verifier::Pairs, &Verifier::Transfers, &Verifier::Order,
                             &Verifier::WholeStages, &Verifier::Channels}) {
      if (const auto problem = (this->*check)()) return problem;
    }
    return std::nullopt;
  }

 private:
  // Every stage does every micro-batch, once and on one rank.
  std::optional<Problem> Completeness() const {
    for (std::int64_t stage = 0; stage < schedule_.stages; ++stage) {
      for (std::int64_t micro = 0; micro < schedule_.micro_batches; ++micro) {
        if (const auto problem = CompletenessOf(stage, micro)) return problem;
      }
    }
    return std::nullopt;
  }

  std::optional<Problem> CompletenessOf(std::int64_t stage, std::int64_t micro) const {
    const Id forward = index_.Find(stage, ActionKind::kForward, micro);
    const Id whole = index_.Find(stage, ActionKind::kBackward, micro);
    const Id input = index_.Find(stage, ActionKind::kInputGradient, micro);
    const Id weight = index_.Find(stage, ActionKind::kWeightGradient, micro);
    const auto never = [&](Id beside, const std::string& what, ActionKind kind) {
      return index_.At(beside, "its " + what + ", " + Name(stage, kind, micro) + ", is never computed");
    };
    if (forward == kNone) {
      const Id other = std::max({whole, input, weight});
      if (other != kNone) return never(other, "forward", ActionKind::kForward);
      return index_.MissingForward(stage, micro);
    }
    if (whole != kNone && (input != kNone || weight != kNone)) {
      return index_.At(std::max({whole, input, weight}),
                       "the backward is computed whole, " + index_.Place(whole) + ", and in parts");
    }
    if (whole == kNone && input == kNone && weight == kNone) return never(forward, "backward", ActionKind::kBackward);
    if (whole == kNone && input == kNone) return never(weight, "input gradient", ActionKind::kInputGradient);
    if (whole == kNone && weight == kNone) return never(input, "weight gradient", ActionKind::kWeightGradient);
    for (const Id id : {whole, input, weight, index_.Find(stage, ActionKind::kRecompute, micro)}) {
      if (id != kNone && index_.Rank(id) != index_.Rank(forward)) {
        return index_.At(id, "the forward of this micro-batch is on another rank, " + index_.Place(forward));
      }
    }
    return std::nullopt;
  }

  // Fused pairs are a forward and a backward that follow each other and don't need each other.
  std::optional<Problem> Pairs() const {
    for (Id id = 0; id < index_.size(); ++id) {
      if (!index_.At(id).with_next) continue;
      const auto& line = schedule_.ranks[index_.Rank(id)];
      if (index_.Position(id) + 1 >= line.size() || line[index_.Position(id) + 1].with_next) {
        return index_.At(id, "is fused with nothing");
      }
      for (const Id need : index_.NeedsOf(id + 1)) {
        if (need == id)
          return index_.At(id + 1, "is fused with " + protocol::ToString(index_.At(id)) + ", which it needs");
      }
    }
    return std::nullopt;
  }

  // Where the text has transfers, they are the ones needed.
  std::optional<Problem> Transfers() const {
    if (!index_.has_transfers()) return std::nullopt;
    for (Id id = 0; id < index_.size(); ++id) {
      const auto problem = IsTransfer(index_.At(id).kind) ? TransferIsNeeded(id) : TransferIsThere(id);
      if (problem) return problem;
    }
    return std::nullopt;
  }

  std::optional<Problem> TransferIsNeeded(Id id) const {
    const auto [from, to] = index_.Channel(id);
    const Action& action = index_.At(id);
    const bool downwards = action.kind == ActionKind::kSendForward || action.kind == ActionKind::kReceiveBackward;
    const std::int64_t other = action.stage + (downwards ? 1 : -1);
    if (other < 0 || other >= schedule_.stages) return index_.At(id, "there is no stage " + std::to_string(other));
    if (from == to) {
      return index_.At(id, "stages " + std::to_string(action.stage) + " and " + std::to_string(other) +
                               " are on one rank for this micro-batch: there is nothing to transfer");
    }
    // An action of a micro-batch that passes this stage on another rank.
    if (index_.Rank(index_.Find(action.stage, ActionKind::kForward, action.micro_batch)) != index_.Rank(id)) {
      return index_.At(id, "this micro-batch passes the stage on another rank");
    }
    if (index_.Peer(id) != kNone) return std::nullopt;
    const std::string peer = Name(other, PeerKind(action.kind), action.micro_batch);
    return index_.At(
        id, (IsSend(action.kind) ? "nobody receives it: " : "nobody sends it: ") + peer + " is not in the schedule");
  }

  static ActionKind PeerKind(ActionKind kind) {
    switch (kind) {
      case ActionKind::kSendForward:
        return ActionKind::kReceiveForward;
      case ActionKind::kReceiveForward:
        return ActionKind::kSendForward;
      case ActionKind::kSendBackward:
        return ActionKind::kReceiveBackward;
      default:
        return ActionKind::kSendBackward;
    }
  }

  // An F, B or I whose input comes from another rank has its receive.
  std::optional<Problem> TransferIsThere(Id id) const {
    const Action& action = index_.At(id);
    const bool forward = action.kind == ActionKind::kForward;
    if (!forward && action.kind != ActionKind::kBackward && action.kind != ActionKind::kInputGradient)
      return std::nullopt;
    const std::int64_t source = action.stage + (forward ? -1 : 1);
    const Id there = index_.Find(source, ActionKind::kForward, action.micro_batch);
    if (there == kNone || index_.Rank(there) == index_.Rank(id)) return std::nullopt;
    const ActionKind receive = forward ? ActionKind::kReceiveForward : ActionKind::kReceiveBackward;
    if (index_.Find(action.stage, receive, action.micro_batch) != kNone) return std::nullopt;
    return index_.At(id, "needs what stage " + std::to_string(source) + " computes on rank " +
                             std::to_string(index_.Rank(there)) + ", and " +
                             Name(action.stage, receive, action.micro_batch) + " is not in the schedule");
  }

  // Within a rank nothing stands before what it needs.
  std::optional<Problem> Order() const {
    for (Id id = 0; id < index_.size(); ++id) {
      for (const Id need : index_.NeedsOf(id)) {
        if (index_.Rank(need) == index_.Rank(id) && need > id) {
          return index_.At(id, "stands before " + index_.Place(need) + ", which it needs");
        }
      }
    }
    return std::nullopt;
  }

  // What concerns whole stages: gathered before use, reduced and updated after the last gradient.
  std::optional<Problem> WholeStages() const {
    if (!index_.has_whole_stages()) return std::nullopt;
    for (std::size_t rank = 0; rank < index_.ranks(); ++rank) {
      std::map<std::int64_t, StageState> stages;
      for (std::size_t position = 0; position < schedule_.ranks[rank].size(); ++position) {
        const Action& action = schedule_.ranks[rank][position];
        if (action.kind == ActionKind::kGather) stages[action.stage].ever_gathered = true;
        stages[action.stage].last = index_.IdOf(rank, position);
        if (action.kind == ActionKind::kBackward || action.kind == ActionKind::kWeightGradient) {
          stages[action.stage].last_gradient = index_.IdOf(rank, position);
        }
      }
      for (std::size_t position = 0; position < schedule_.ranks[rank].size(); ++position) {
        const Id id = index_.IdOf(rank, position);
        const std::string what = Step(&stages[index_.At(id).stage], id);
        if (!what.empty()) return index_.At(id, what);
      }
    }
    return std::nullopt;
  }

  struct StageState {
    bool ever_gathered = false, gathered = false, reduced = false, updated = false;
    Id last = kNone, last_gradient = kNone;
  };

  std::string Step(StageState* stage, Id id) const {
    const Action& action = index_.At(id);
    const bool computes = IsCompute(action.kind) && action.kind != ActionKind::kOptimizer;
    if (stage->updated && action.kind != ActionKind::kReshard) return "stands after the stage's OPTIMIZER";
    if (computes && stage->ever_gathered && !stage->gathered) return "runs while the stage is not gathered (UNSHARD)";
    switch (action.kind) {
      case ActionKind::kGather:
        if (stage->gathered) return "the stage is gathered already";
        stage->gathered = true;
        break;
      case ActionKind::kReshard:
        if (!stage->gathered) return "the stage is not gathered";
        stage->gathered = false;
        break;
      case ActionKind::kAllReduce:
        if (id < stage->last_gradient) return "stands before " + index_.Place(stage->last_gradient);
        for (const std::size_t holder : index_.RanksOf(action.stage)) {
          if (index_.AllReduce(action.stage, holder) != kNone) continue;
          return "rank " + std::to_string(holder) + " holds the stage too, and never comes to its REDUCE_GRAD";
        }
        stage->reduced = true;
        break;
      case ActionKind::kOptimizer:
        if (id < stage->last_gradient) return "stands before " + index_.Place(stage->last_gradient);
        if (!stage->reduced && index_.RanksOf(action.stage).size() > 1) {
          return "stands before the stage's REDUCE_GRAD, whose gradients are on several ranks";
        }
        stage->updated = true;
        break;
      default:
        break;
    }
    return "";
  }

  // First in, first out: a rank receives from another in the order in which that one sends.
  std::optional<Problem> Channels() const {
    std::map<std::pair<std::size_t, std::size_t>, std::pair<std::vector<Id>, std::vector<Id>>> channels;
    for (Id id = 0; id < index_.size(); ++id) {
      if (!IsTransfer(index_.At(id).kind)) continue;
      auto& [sends, receives] = channels[index_.Channel(id)];
      (IsSend(index_.At(id).kind) ? sends : receives).push_back(id);
    }
    for (const auto& [channel, ends] : channels) {
      const auto& [sends, receives] = ends;
      for (std::size_t i = 0; i < receives.size(); ++i) {
        if (index_.Peer(receives[i]) == sends[i]) continue;
        return index_.At(receives[i], "comes upon the message of " + index_.Place(sends[i]) + ": rank " +
                                          std::to_string(channel.first) + " sends it before " +
                                          index_.Place(index_.Peer(receives[i])) +
                                          ", and the channel is first in, first out");
      }
    }
    return std::nullopt;
  }

  const Index& index_;
  const protocol::Schedule& schedule_;
};

}  // namespace

const std::vector<Channels>& EveryKindOfChannels() {
  static const std::vector<Channels> all{
      {ChannelKind::kUnbounded}, {ChannelKind::kBounded, 1}, {ChannelKind::kRendezvous}};
  return all;
}

std::optional<Problem> Verify(const protocol::Schedule& schedule, const std::vector<Channels>& channels) {
  Index index;
  if (const auto problem = Index::Build(schedule, &index)) return problem;
  if (const auto problem = Verifier(index).FirstProblem()) return problem;
  for (const Channels& each : channels) {
    const Execution execution = Execute(index, Costs(), each, Receives::kWait);
    if (!execution.Complete()) return ExplainWait(index, execution, each);
    if (!index.has_transfers()) break;  // the kinds differ by what a send in the text does
  }
  return std::nullopt;
}

std::string FirstProblem(const protocol::Schedule& schedule) {
  const auto problem = Verify(schedule, EveryKindOfChannels());
  return problem ? ToString(*problem) : "";
}

}  // namespace lockstep::schedule
