#include "harness/launch/stuck/graph.h"

#include <algorithm>
#include <deque>

#include "harness/launch/stuck/words.h"

namespace lockstep::launch::stuck {
namespace {

using protocol::CursorState;

const RankView& Of(const Scene& scene, std::int64_t rank) { return scene.ranks[static_cast<std::size_t>(rank)]; }

bool Exists(const Scene& scene, std::int64_t rank) {
  return rank >= 0 && rank < static_cast<std::int64_t>(scene.ranks.size());
}

// The way back to `start` with the fewest ranks on it.
std::vector<std::int64_t> ShortestCycle(const Scene& scene, std::int64_t start,
                                        const std::function<bool(const RankView&)>& allowed) {
  std::vector<std::int64_t> from(scene.ranks.size(), -1);
  std::deque<std::int64_t> open{start};
  while (!open.empty()) {
    const std::int64_t rank = open.front();
    open.pop_front();
    for (const std::int64_t next : WaitsFor(scene, rank)) {
      if (next == start) {
        std::vector<std::int64_t> cycle;
        for (std::int64_t each = rank; each != start; each = from[static_cast<std::size_t>(each)]) {
          cycle.push_back(each);
        }
        cycle.push_back(start);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (from[static_cast<std::size_t>(next)] >= 0 || !allowed(Of(scene, next))) continue;
      from[static_cast<std::size_t>(next)] = rank;
      open.push_back(next);
    }
  }
  return {};
}

}  // namespace

bool WaitsOnLink(const RankView& rank) {
  return rank.cursor.state == CursorState::kReceiving || rank.cursor.state == CursorState::kSending;
}
bool InCollective(const RankView& rank) { return rank.cursor.state == CursorState::kCollective; }
bool Waits(const RankView& rank) { return WaitsOnLink(rank) || InCollective(rank); }
bool Works(const RankView& rank) {
  const CursorState state = rank.cursor.state;
  return !Waits(rank) && state != CursorState::kDone && state != CursorState::kGaveUp;
}

void TakeBack(protocol::Cursor* cursor) {
  if (cursor->state != CursorState::kGaveUp) return;
  const bool link = cursor->peer >= 0, collective = cursor->group[0] != 0;
  cursor->state = link ? CursorState::kReceiving : collective ? CursorState::kCollective : CursorState::kComputing;
}

std::vector<std::int64_t> Absent(const Scene& scene, std::int64_t rank) {
  const RankView& here = Of(scene, rank);
  const auto group = here.groups.find(GroupOf(here.cursor));
  std::vector<std::int64_t> absent;
  if (group == here.groups.end()) return absent;
  for (const std::int64_t member : group->second) {
    if (member == rank || !Exists(scene, member)) continue;
    const protocol::Cursor& there = Of(scene, member).cursor;
    const bool arrived = there.state == CursorState::kCollective && there.group == here.cursor.group &&
                         there.number == here.cursor.number;
    if (!arrived) absent.push_back(member);
  }
  std::sort(absent.begin(), absent.end());
  return absent;
}

std::vector<std::int64_t> WaitsFor(const Scene& scene, std::int64_t rank) {
  const RankView& here = Of(scene, rank);
  if (InCollective(here)) return Absent(scene, rank);
  if (WaitsOnLink(here) && Exists(scene, here.cursor.peer)) return {here.cursor.peer};
  return {};
}

std::vector<std::int64_t> Cycle(const Scene& scene, const std::function<bool(const RankView&)>& allowed) {
  std::vector<std::int64_t> shortest;
  for (std::int64_t rank = 0; rank < static_cast<std::int64_t>(scene.ranks.size()); ++rank) {
    if (!allowed(Of(scene, rank))) continue;
    const std::vector<std::int64_t> cycle = ShortestCycle(scene, rank, allowed);
    if (!cycle.empty() && (shortest.empty() || cycle.size() < shortest.size())) shortest = cycle;
  }
  return shortest;
}

}  // namespace lockstep::launch::stuck
