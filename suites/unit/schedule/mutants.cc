#include "suites/unit/schedule/mutants.h"

#include <algorithm>

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;
using protocol::Schedule;

struct Site {
  std::size_t rank = 0, position = 0;
};
using Chooser = std::function<bool(const Action&)>;

// One of the actions that `wanted` likes, no half of a fused pair; nothing where there is none.
std::optional<Site> Pick(const Schedule& schedule, std::mt19937* random, const Chooser& wanted) {
  std::vector<Site> sites;
  for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank) {
    const auto& line = schedule.ranks[rank];
    for (std::size_t i = 0; i < line.size(); ++i) {
      const bool fused = line[i].with_next || (i > 0 && line[i - 1].with_next);
      if (!fused && wanted(line[i])) sites.push_back({rank, i});
    }
  }
  if (sites.empty()) return std::nullopt;
  return sites[std::uniform_int_distribution<std::size_t>(0, sites.size() - 1)(*random)];
}

Chooser Of(const std::vector<ActionKind>& kinds) {
  return [kinds](const Action& action) { return std::find(kinds.begin(), kinds.end(), action.kind) != kinds.end(); };
}
const Chooser kComputing =
    Of({ActionKind::kForward, ActionKind::kBackward, ActionKind::kInputGradient, ActionKind::kWeightGradient});
const Chooser kMessage = Of(
    {ActionKind::kSendForward, ActionKind::kReceiveForward, ActionKind::kSendBackward, ActionKind::kReceiveBackward});

std::optional<std::size_t> Find(const std::vector<Action>& line, const Action& wanted) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i].stage == wanted.stage && line[i].kind == wanted.kind && line[i].micro_batch == wanted.micro_batch)
      return i;
  }
  return std::nullopt;
}

void Move(std::vector<Action>* line, std::size_t from, std::size_t to) {
  const Action action = (*line)[from];
  line->erase(line->begin() + static_cast<std::ptrdiff_t>(from));
  line->insert(line->begin() + static_cast<std::ptrdiff_t>(to), action);
}

std::optional<Schedule> Drop(Schedule schedule, std::mt19937* random, const Chooser& wanted) {
  const auto site = Pick(schedule, random, wanted);
  if (!site) return std::nullopt;
  auto& line = schedule.ranks[site->rank];
  line.erase(line.begin() + static_cast<std::ptrdiff_t>(site->position));
  return schedule;
}

std::optional<Schedule> Double(Schedule schedule, std::mt19937* random, const Chooser& wanted) {
  const auto site = Pick(schedule, random, wanted);
  if (!site) return std::nullopt;
  auto& line = schedule.ranks[site->rank];
  line.push_back(line[site->position]);
  return schedule;
}

// Moves an action of `late` to just before the action of `early` that it needs.
std::optional<Schedule> Before(Schedule schedule, std::mt19937* random, const std::vector<ActionKind>& late,
                               const std::vector<ActionKind>& early) {
  const auto site = Pick(schedule, random, Of(late));
  if (!site) return std::nullopt;
  auto& line = schedule.ranks[site->rank];
  for (const ActionKind kind : early) {
    const Action& action = line[site->position];
    const auto need = Find(line, {action.stage, kind, action.micro_batch});
    if (!need || (*need > 0 && line[*need - 1].with_next)) continue;
    Move(&line, site->position, *need);
    return schedule;
  }
  return std::nullopt;
}

std::optional<Schedule> OnAnotherRank(Schedule schedule, std::mt19937* random) {
  const auto site = Pick(schedule, random, kComputing);
  if (!site) return std::nullopt;
  Action& action = schedule.ranks[site->rank][site->position];
  const auto here = protocol::PlacementOf(schedule)[site->rank];
  for (std::int64_t stage = 0; stage < schedule.stages; ++stage) {
    if (std::find(here.begin(), here.end(), stage) != here.end()) continue;
    action.stage = stage;
    return schedule;
  }
  return std::nullopt;
}

std::optional<Schedule> OfAnotherMicroBatch(Schedule schedule, std::mt19937* random) {
  const auto site = Pick(schedule, random, kComputing);
  if (!site) return std::nullopt;
  ++schedule.ranks[site->rank][site->position].micro_batch;  // there twice now, or the first that doesn't exist
  return schedule;
}

std::optional<Schedule> WholeInPlaceOfInput(Schedule schedule, std::mt19937* random) {
  const auto site = Pick(schedule, random, Of({ActionKind::kInputGradient}));
  if (!site) return std::nullopt;
  schedule.ranks[site->rank][site->position].kind = ActionKind::kBackward;
  return schedule;
}

// Two receives of one channel change places, whatever stands between them.
std::optional<Schedule> SwapReceives(Schedule schedule, std::mt19937* random) {
  const auto first = Pick(schedule, random, Of({ActionKind::kReceiveForward, ActionKind::kReceiveBackward}));
  if (!first) return std::nullopt;
  auto& line = schedule.ranks[first->rank];
  for (std::size_t i = 0; i < line.size(); ++i) {
    // Of the same edge and direction, so of the same channel where a stage stands on one rank.
    if (line[i].kind != line[first->position].kind || line[i].stage != line[first->position].stage) continue;
    if (i == first->position || schedule.stages == 1) continue;
    std::swap(line[i], line[first->position]);
    return schedule;
  }
  return std::nullopt;
}

// A receive after what takes its message.
std::optional<Schedule> ReceiveTooLate(Schedule schedule, std::mt19937* random) {
  const auto site = Pick(schedule, random, Of({ActionKind::kReceiveForward, ActionKind::kReceiveBackward}));
  if (!site) return std::nullopt;
  auto& line = schedule.ranks[site->rank];
  Move(&line, site->position, line.size() - 1);
  return schedule;
}

// Rank a receives from b and then sends to it, b sends first: turned around on a, both send before they receive.
std::optional<Schedule> BothSendFirst(Schedule schedule, std::mt19937* random) {
  std::vector<Site> sites;
  for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank) {
    const auto& line = schedule.ranks[rank];
    for (std::size_t i = 0; i + 1 < line.size(); ++i) {
      const bool down = line[i].kind == ActionKind::kReceiveBackward && line[i + 1].kind == ActionKind::kSendForward;
      const bool up = line[i].kind == ActionKind::kReceiveForward && line[i + 1].kind == ActionKind::kSendBackward;
      if ((down || up) && line[i].stage == line[i + 1].stage) sites.push_back({rank, i});
    }
  }
  if (sites.empty()) return std::nullopt;
  const Site site = sites[std::uniform_int_distribution<std::size_t>(0, sites.size() - 1)(*random)];
  auto& line = schedule.ranks[site.rank];
  std::swap(line[site.position], line[site.position + 1]);
  return schedule;
}

// A message that is in nobody's text: both its ends are dropped.
std::optional<Schedule> DropMessage(Schedule schedule, std::mt19937* random) {
  const auto site = Pick(schedule, random, Of({ActionKind::kSendForward, ActionKind::kSendBackward}));
  if (!site) return std::nullopt;
  const Action send = schedule.ranks[site->rank][site->position];
  const bool forward = send.kind == ActionKind::kSendForward;
  const Action receive{send.stage + (forward ? 1 : -1),
                       forward ? ActionKind::kReceiveForward : ActionKind::kReceiveBackward, send.micro_batch};
  for (auto& line : schedule.ranks) {
    std::erase(line, send);
    std::erase(line, receive);
  }
  return schedule;
}

// The order of computing waits in a circle: F(s,j) is put after B(s,i), which waits for B(s+1,i), which its rank does
// after F(s+1,j), which waits for F(s,j).
std::optional<Schedule> Circle(Schedule schedule, std::mt19937* random) {
  const auto forward = Pick(schedule, random, Of({ActionKind::kForward}));
  if (!forward) return std::nullopt;
  auto& line = schedule.ranks[forward->rank];
  const Action moved = line[forward->position];
  for (std::size_t i = forward->position + 1; i < line.size(); ++i) {
    const bool whole = line[i].kind == ActionKind::kBackward;
    if (!whole && line[i].kind != ActionKind::kInputGradient) continue;
    if (line[i].stage != moved.stage || line[i].micro_batch == moved.micro_batch) continue;
    if (i > 0 && line[i - 1].with_next) continue;
    for (std::size_t rank = 0; rank < schedule.ranks.size(); ++rank) {
      if (rank == forward->rank) continue;
      const auto& other = schedule.ranks[rank];
      const auto there = Find(other, {moved.stage + 1, ActionKind::kForward, moved.micro_batch});
      auto back = Find(other, {moved.stage + 1, ActionKind::kBackward, line[i].micro_batch});
      if (!back) back = Find(other, {moved.stage + 1, ActionKind::kInputGradient, line[i].micro_batch});
      if (!there || !back || *there > *back) continue;
      Move(&line, forward->position, i);
      return schedule;
    }
  }
  return std::nullopt;
}

}  // namespace

const std::vector<Mutation>& Mutations() {
  using Kinds = std::vector<ActionKind>;
  const Kinds backwards{ActionKind::kBackward, ActionKind::kInputGradient}, forward{ActionKind::kForward};
  static const std::vector<Mutation> all{
      {"drops a forward", false, [=](const auto& s, auto* r) { return Drop(s, r, Of(forward)); }},
      {"drops a backward", false, [=](const auto& s, auto* r) { return Drop(s, r, Of(backwards)); }},
      {"drops a weight gradient", false,
       [](const auto& s, auto* r) { return Drop(s, r, Of({ActionKind::kWeightGradient})); }},
      {"does a forward twice", false, [=](const auto& s, auto* r) { return Double(s, r, Of(forward)); }},
      {"does a backward twice", false, [=](const auto& s, auto* r) { return Double(s, r, Of(backwards)); }},
      {"does a weight gradient twice", false,
       [](const auto& s, auto* r) { return Double(s, r, Of({ActionKind::kWeightGradient})); }},
      {"puts a weight gradient before its input gradient", false,
       [](const auto& s, auto* r) {
         return Before(s, r, {ActionKind::kWeightGradient}, {ActionKind::kInputGradient});
       }},
      {"puts a backward before its forward", false,
       [=](const auto& s, auto* r) { return Before(s, r, backwards, forward); }},
      {"computes a stage that stands elsewhere", false, OnAnotherRank},
      {"computes another micro-batch", false, OfAnotherMicroBatch},
      {"computes the whole backward and its weight gradient again", false, WholeInPlaceOfInput},
      {"computes in an order that waits in a circle", false, Circle},
      {"drops a send", true,
       [](const auto& s, auto* r) {
         return Drop(s, r, Of({ActionKind::kSendForward, ActionKind::kSendBackward}));
       }},
      {"drops a receive", true,
       [](const auto& s, auto* r) {
         return Drop(s, r, Of({ActionKind::kReceiveForward, ActionKind::kReceiveBackward}));
       }},
      {"drops a message", true, DropMessage},
      {"does half a message twice", true, [](const auto& s, auto* r) { return Double(s, r, kMessage); }},
      {"swaps two receives of a channel", true, SwapReceives},
      {"sends before it has computed", true,
       [=](const auto& s, auto* r) {
         const auto spoilt = Before(s, r, {ActionKind::kSendForward}, forward);
         return spoilt ? spoilt : Before(s, r, {ActionKind::kSendBackward}, backwards);
       }},
      {"receives after it has computed", true, ReceiveTooLate},
      {"lets both ranks send first", true, BothSendFirst}};
  return all;
}

}  // namespace lockstep::schedule
