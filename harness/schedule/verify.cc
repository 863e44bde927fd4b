#include "harness/schedule/verify.h"

#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;
using Key = std::tuple<std::int64_t, ActionKind, std::int64_t>;  // stage, kind, micro-batch

Key KeyOf(const Action& action) { return {action.stage, action.kind, action.micro_batch}; }

std::string Place(std::size_t rank, std::size_t position, const Action& action) {
  return "rank " + std::to_string(rank) + ", position " + std::to_string(position) + ", " + ToString(action);
}

bool IsTransfer(ActionKind kind) {
  return kind == ActionKind::kSendForward || kind == ActionKind::kReceiveForward || kind == ActionKind::kSendBackward ||
         kind == ActionKind::kReceiveBackward;
}

class Verifier {
 public:
  explicit Verifier(const protocol::Schedule& schedule) : schedule_(schedule) {}

  std::string FirstProblem() {
    if (schedule_.ranks.empty() || schedule_.stages < 1 || schedule_.micro_batches < 1) return "it is empty";
    if (schedule_.stages % static_cast<std::int64_t>(schedule_.ranks.size()) != 0) {
      return std::to_string(schedule_.stages) + " stages do not divide over " + std::to_string(schedule_.ranks.size()) +
             " ranks";
    }
    for (const auto& check : {&Verifier::Placement, &Verifier::Completeness, &Verifier::Simulation}) {
      const std::string problem = (this->*check)();
      if (!problem.empty()) return problem;
    }
    return "";
  }

 private:
  // Every action in range, on its stage's rank, and once.
  std::string Placement() {
    for (std::size_t rank = 0; rank < schedule_.ranks.size(); ++rank) {
      for (std::size_t i = 0; i < schedule_.ranks[rank].size(); ++i) {
        const Action& action = schedule_.ranks[rank][i];
        if (action.stage < 0 || action.stage >= schedule_.stages || action.micro_batch < 0 ||
            action.micro_batch >= schedule_.micro_batches) {
          return Place(rank, i, action) + ": there is no such stage or micro-batch";
        }
        if (RankOf(action.stage) != rank) {
          return Place(rank, i, action) + ": stage " + std::to_string(action.stage) + " stands on rank " +
                 std::to_string(RankOf(action.stage));
        }
        if (!all_.insert(KeyOf(action)).second) return Place(rank, i, action) + ": executed twice";
        has_transfers_ = has_transfers_ || IsTransfer(action.kind);
      }
    }
    return "";
  }

  std::string Completeness() {
    for (std::int64_t stage = 0; stage < schedule_.stages; ++stage) {
      for (std::int64_t micro = 0; micro < schedule_.micro_batches; ++micro) {
        const auto has = [&](ActionKind kind) { return all_.contains({stage, kind, micro}); };
        const std::string where = "stage " + std::to_string(stage) + ", micro-batch " + std::to_string(micro);
        if (!has(ActionKind::kForward)) return where + ": the forward is never computed";
        const bool whole = has(ActionKind::kBackward), input = has(ActionKind::kInputGradient),
                   weight = has(ActionKind::kWeightGradient);
        if (whole && (input || weight)) return where + ": the backward is computed whole and in parts";
        if (!whole && !input) return where + ": the backward is never computed";
        if (!whole && !weight) return where + ": the weight gradient is never computed";
      }
    }
    return "";
  }

  // Runs every rank's line as far as it gets; what is left over waits for ever.
  std::string Simulation() {
    std::vector<std::size_t> cursor(schedule_.ranks.size(), 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t rank = 0; rank < schedule_.ranks.size(); ++rank) {
        const auto& line = schedule_.ranks[rank];
        while (cursor[rank] < line.size() && !FirstMissing(line[cursor[rank]])) {
          done_.insert(KeyOf(line[cursor[rank]++]));
          moved = true;
        }
      }
    }
    // A need on the stuck rank itself is a wrong order; a need elsewhere may only follow from that. Name the cause
    // first.
    std::string stuck;
    for (std::size_t rank = 0; rank < schedule_.ranks.size(); ++rank) {
      if (cursor[rank] == schedule_.ranks[rank].size()) continue;
      const Action& action = schedule_.ranks[rank][cursor[rank]];
      const Action missing = *FirstMissing(action);
      const std::string text = Place(rank, cursor[rank], action) + ": waits for " + ToString(missing) +
                               (all_.contains(KeyOf(missing)) ? "" : ", which is not in the schedule");
      if (!all_.contains(KeyOf(missing)) || RankOf(missing.stage) == rank) return text;
      if (stuck.empty()) stuck = text + ", which waits in turn: deadlock";
    }
    return stuck;
  }

  std::optional<Action> FirstMissing(const Action& action) const {
    for (const Action& need : Needs(action)) {
      if (!done_.contains(KeyOf(need))) return need;
    }
    return std::nullopt;
  }

  std::vector<Action> Needs(const Action& action) const {
    const std::int64_t s = action.stage, i = action.micro_batch;
    const bool last = s + 1 == schedule_.stages;
    std::vector<Action> needs;
    switch (action.kind) {
      case ActionKind::kForward:
        if (s > 0) needs.push_back(Arrival(s - 1, s, ActionKind::kReceiveForward, ActionKind::kForward, i));
        break;
      case ActionKind::kBackward:
      case ActionKind::kInputGradient:
        needs.push_back({s, ActionKind::kForward, i});
        if (!last) needs.push_back(Arrival(s + 1, s, ActionKind::kReceiveBackward, InputGradientOf(s + 1, i), i));
        break;
      case ActionKind::kWeightGradient:
        needs.push_back({s, ActionKind::kInputGradient, i});
        break;
      case ActionKind::kSendForward:
        needs.push_back({s, ActionKind::kForward, i});
        break;
      case ActionKind::kReceiveForward:
        needs.push_back({s - 1, ActionKind::kSendForward, i});
        break;
      case ActionKind::kSendBackward:
        needs.push_back({s, InputGradientOf(s, i), i});
        break;
      case ActionKind::kReceiveBackward:
        needs.push_back({s + 1, ActionKind::kSendBackward, i});
        break;
      default:  // nothing that the order of micro-batches could break
        break;
    }
    return needs;
  }

  // What must be done before stage `to` has what stage `from` computed: the receive where the text has transfers.
  Action Arrival(std::int64_t from, std::int64_t to, ActionKind receive, ActionKind compute, std::int64_t micro) const {
    if (has_transfers_ && RankOf(from) != RankOf(to)) return {to, receive, micro};
    return {from, compute, micro};
  }

  ActionKind InputGradientOf(std::int64_t stage, std::int64_t micro) const {
    return all_.contains({stage, ActionKind::kBackward, micro}) ? ActionKind::kBackward : ActionKind::kInputGradient;
  }

  std::size_t RankOf(std::int64_t stage) const { return static_cast<std::size_t>(stage) % schedule_.ranks.size(); }

  const protocol::Schedule& schedule_;
  std::set<Key> all_, done_;
  bool has_transfers_ = false;
};

}  // namespace

std::string FirstProblem(const protocol::Schedule& schedule) { return Verifier(schedule).FirstProblem(); }

}  // namespace lockstep::schedule
