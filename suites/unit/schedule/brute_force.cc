#include "suites/unit/schedule/brute_force.h"

#include <map>
#include <set>
#include <vector>

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;
using Words = std::set<std::string>;

std::string Word(const std::string& kind, std::int64_t stage, std::int64_t micro) {
  return kind + " of stage " + std::to_string(stage) + ", micro-batch " + std::to_string(micro);
}

// What a rank has in hand, by words: "output", "gradient", "activation" and "due" (a weight gradient not yet computed).
class World {
 public:
  explicit World(const protocol::Schedule& schedule)
      : schedule_(schedule), hands_(schedule.ranks.size()), cursors_(schedule.ranks.size()) {
    for (const auto& line : schedule.ranks) {
      for (const Action& action : line) written_ = written_ || IsMessage(action);
    }
  }

  std::string Run() {
    for (bool moved = true; moved && harm_.empty();) {
      moved = false;
      for (std::size_t rank = 0; rank < hands_.size() && harm_.empty(); ++rank) moved = Try(rank) || moved;
    }
    if (!harm_.empty()) return harm_;
    for (std::size_t rank = 0; rank < hands_.size(); ++rank) {
      if (cursors_[rank] < schedule_.ranks[rank].size()) return "rank " + std::to_string(rank) + " is stuck";
    }
    for (std::int64_t stage = 0; stage < schedule_.stages; ++stage) {
      for (std::int64_t micro = 0; micro < schedule_.micro_batches; ++micro) {
        for (const char* what : {"forward", "input gradient", "weight gradient"}) {
          if (done_[Word(what, stage, micro)] != 1) return Word(what, stage, micro) + " not done once";
        }
      }
    }
    return "";
  }

 private:
  static bool IsMessage(const Action& action) {
    const std::string text = protocol::ToString(action);
    return text.find("SEND") != std::string::npos || text.find("RECV") != std::string::npos;
  }

  bool Holds(std::size_t rank, std::int64_t stage) const {
    for (const std::int64_t each : placement_[rank]) {
      if (each == stage) return true;
    }
    return false;
  }

  // The words that an action takes from the rank's hand.
  Words Takes(const Action& a) const {
    Words words;
    switch (a.kind) {
      case ActionKind::kForward:
        if (a.stage > 0) words.insert(Word("output", a.stage - 1, a.micro_batch));
        break;
      case ActionKind::kBackward:
      case ActionKind::kInputGradient:
        words.insert(Word("activation", a.stage, a.micro_batch));
        if (a.stage + 1 < schedule_.stages) words.insert(Word("gradient", a.stage + 1, a.micro_batch));
        break;
      case ActionKind::kWeightGradient:
        words.insert(Word("due", a.stage, a.micro_batch));
        break;
      case ActionKind::kSendForward:
        words.insert(Word("output", a.stage, a.micro_batch));
        break;
      case ActionKind::kSendBackward:
        words.insert(Word("gradient", a.stage, a.micro_batch));
        break;
      default:
        break;
    }
    return words;
  }

  bool Has(std::size_t rank, const Words& words) const {
    for (const std::string& word : words) {
      if (!hands_[rank].contains(word)) return false;
    }
    return true;
  }

  void Do(std::size_t rank, const Action& a) {
    if (!Holds(rank, a.stage)) harm_ = protocol::ToString(a) + " stands on another rank";
    if (a.micro_batch >= schedule_.micro_batches) harm_ = protocol::ToString(a) + " is of no micro-batch";
    const auto give = [&](const std::string& kind) {
      const std::string word = Word(kind, a.stage, a.micro_batch);
      hands_[rank].insert(word);
      // Whoever runs a schedule without messages carries everything to everyone.
      for (Words& hand : hands_) {
        if (!written_ && (kind == "output" || kind == "gradient")) hand.insert(word);
      }
    };
    const auto count = [&](const std::string& what) { ++done_[Word(what, a.stage, a.micro_batch)]; };
    if (a.kind == ActionKind::kForward) {
      count("forward");
      give("output");
      give("activation");
    }
    if (a.kind == ActionKind::kBackward || a.kind == ActionKind::kInputGradient) {
      count("input gradient");
      give("gradient");
      if (a.kind == ActionKind::kInputGradient) give("due");
      if (a.kind == ActionKind::kBackward) count("weight gradient");
    }
    if (a.kind == ActionKind::kWeightGradient) count("weight gradient");
  }

  bool Try(std::size_t rank) {
    const auto& line = schedule_.ranks[rank];
    const std::size_t at = cursors_[rank];
    if (at >= line.size()) return false;
    if (IsMessage(line[at])) return TryMessage(rank, line[at]);
    const std::size_t width = line[at].with_next ? 2 : 1;
    for (std::size_t i = 0; i < width; ++i) {
      if (!Has(rank, Takes(line.at(at + i)))) return false;
    }
    for (std::size_t i = 0; i < width; ++i) Do(rank, line[at + i]);
    cursors_[rank] += width;
    return true;
  }

  // From the sender's side: both move when the other one stands at the receive of this very message.
  bool TryMessage(std::size_t rank, const Action& a) {
    const bool forward = a.kind == ActionKind::kSendForward;
    if (!forward && a.kind != ActionKind::kSendBackward) return false;
    if (!Has(rank, Takes(a))) return false;
    const Action wanted{a.stage + (forward ? 1 : -1),
                        forward ? ActionKind::kReceiveForward : ActionKind::kReceiveBackward, a.micro_batch};
    for (std::size_t other = 0; other < hands_.size(); ++other) {
      if (other == rank || cursors_[other] >= schedule_.ranks[other].size()) continue;
      if (schedule_.ranks[other][cursors_[other]] != wanted) continue;
      if (!Holds(other, wanted.stage)) harm_ = "a message to a rank without the stage";
      hands_[other].insert(Word(forward ? "output" : "gradient", a.stage, a.micro_batch));
      ++cursors_[rank];
      ++cursors_[other];
      return true;
    }
    return false;
  }

  const protocol::Schedule& schedule_;
  const std::vector<std::vector<std::int64_t>> placement_ = protocol::PlacementOf(schedule_);
  bool written_ = false;  // messages are in the text
  std::vector<Words> hands_;
  std::vector<std::size_t> cursors_;
  std::map<std::string, int> done_;
  std::string harm_;
};

}  // namespace

std::string HarmOf(const protocol::Schedule& schedule) { return World(schedule).Run(); }

}  // namespace lockstep::schedule
