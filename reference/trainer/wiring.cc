#include "reference/trainer/wiring.h"

#include <algorithm>
#include <tuple>

namespace lockstep::trainer {

using protocol::Action;
using protocol::ActionKind;

Wiring::Wiring(const protocol::Schedule& schedule) : stages_(schedule.stages) {
  const auto placement = protocol::PlacementOf(schedule);
  for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank) {
    for (const std::int64_t stage : placement[rank]) standing_.insert({stage, static_cast<std::int64_t>(rank)});
    for (const Action& action : schedule.ranks[rank]) {
      if (action.kind != ActionKind::kForward) continue;
      rank_of_[{action.stage, action.micro_batch}] = static_cast<std::int64_t>(rank);
    }
  }
  for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank) {
    for (const Action& action : schedule.ranks[rank]) AddMessage(action, static_cast<std::int64_t>(rank));
  }
  std::sort(links_.begin(), links_.end(), [](const Link& a, const Link& b) {
    return std::tie(a.backward, a.from, a.to) < std::tie(b.backward, b.from, b.to);
  });
}

std::int64_t Wiring::RankOf(std::int64_t stage, std::int64_t micro_batch) const {
  const auto found = rank_of_.find({stage, micro_batch});
  return found == rank_of_.end() ? -1 : found->second;
}

std::vector<std::int64_t> Wiring::StagesOn(std::int64_t rank) const {
  std::vector<std::int64_t> stages;
  for (const auto& [stage, on] : standing_) {
    if (on == rank) stages.push_back(stage);
  }
  return stages;
}

std::vector<std::int64_t> Wiring::RanksOf(std::int64_t stage) const {
  std::vector<std::int64_t> ranks;
  for (const auto& [each, rank] : standing_) {
    if (each == stage) ranks.push_back(rank);
  }
  return ranks;
}

void Wiring::AddMessage(const Action& action, std::int64_t from) {
  const bool backward = action.kind == ActionKind::kBackward || action.kind == ActionKind::kInputGradient;
  if (!backward && action.kind != ActionKind::kForward) return;
  const std::int64_t target = backward ? action.stage - 1 : action.stage + 1;
  const std::int64_t to = RankOf(target, action.micro_batch);
  if (to < 0 || to == from) return;
  auto link = std::find_if(links_.begin(), links_.end(), [&](const Link& each) {
    return each.from == from && each.to == to && each.backward == backward;
  });
  if (link == links_.end()) link = links_.insert(link, {.from = from, .to = to, .backward = backward, .messages = {}});
  link->messages.push_back({.source = action.stage, .target = target, .micro_batch = action.micro_batch});
}

}  // namespace lockstep::trainer
