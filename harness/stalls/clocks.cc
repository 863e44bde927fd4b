#include "harness/stalls/clocks.h"

#include <algorithm>
#include <map>

namespace lockstep::stalls {
namespace {

using protocol::Interval;
using protocol::Timeline;

// Of all that one rank did before another, what came closest. Where both say when (an end is known to be later than a
// beginning), the least lead is the one that binds.
std::vector<Precedence> PrecedencesOf(const Run& run) {
  std::map<std::pair<std::size_t, std::size_t>, double> least;
  const auto add = [&](std::int64_t from, double began, std::int64_t to, double ended) {
    const auto key = std::pair(static_cast<std::size_t>(from), static_cast<std::size_t>(to));
    const auto [entry, fresh] = least.emplace(key, ended - began);
    if (!fresh) entry->second = std::min(entry->second, ended - began);
  };
  for (const Message& message : run.messages) {
    add(message.sender, run.SendOf(message).posted, message.receiver, run.ReceiveOf(message).ended);
  }
  for (const Collective& collective : run.collectives) {
    for (const Arrival& first : collective.members) {
      for (const Arrival& second : collective.members) {
        if (first.rank != second.rank) add(first.rank, run.At(first).posted, second.rank, run.At(second).ended);
      }
    }
  }
  std::vector<Precedence> precedences;
  for (const auto& [ranks, lead] : least) precedences.push_back({ranks.first, ranks.second, lead});
  return precedences;
}

void Move(Timeline* timeline, double by) {
  const auto move = [by](Interval& interval) {
    interval.began += by;
    interval.ended += by;
  };
  const auto move_end = [&](auto& event) {
    event.posted += by;
    event.ended += by;
    if (event.wait) move(*event.wait);
  };
  for (auto& step : timeline->steps) move(step.time);
  for (auto& span : timeline->spans) move(span.time);
  for (auto& op : timeline->ops) {
    for (double* time : {&op.enqueued, &op.ready, &op.started, &op.ended}) *time += by;
  }
  for (auto& message : timeline->messages) move_end(message);
  for (auto& collective : timeline->collectives) move_end(collective);
}

}  // namespace

std::vector<double> MovesOf(const std::vector<double>& uncertainty, const std::vector<Precedence>& precedences) {
  std::vector<double> moves(uncertainty.size(), 0.0);
  for (std::size_t round = 0; round < 2 * uncertainty.size(); ++round) {
    bool moved = false;
    for (const Precedence& each : precedences) {
      double lacks = -(each.lead + moves[each.to] - moves[each.from]);
      if (!(lacks > 0)) continue;
      const double later = std::min(lacks, uncertainty[each.to] - moves[each.to]);
      lacks -= later;
      const double earlier = std::min(lacks, uncertainty[each.from] + moves[each.from]);
      moves[each.to] += later;
      moves[each.from] -= earlier;
      moved = moved || later > 0 || earlier > 0;
    }
    if (!moved) break;
  }
  return moves;
}

void HoldToCausality(Run* run) {
  std::vector<double> uncertainty;
  for (const ClockOfRank& clock : run->clocks) uncertainty.push_back(clock.uncertainty);
  const std::vector<Precedence> precedences = PrecedencesOf(*run);
  const std::vector<double> moves = MovesOf(uncertainty, precedences);
  for (std::size_t rank = 0; rank < moves.size(); ++rank) {
    run->clocks[rank].moved = moves[rank];
    if (moves[rank] != 0) Move(&run->ranks[rank], moves[rank]);
  }
  for (Collective& collective : run->collectives) {
    const auto later = [&](const Arrival& a, const Arrival& b) { return run->At(a).posted < run->At(b).posted; };
    const auto last = std::max_element(collective.members.begin(), collective.members.end(), later);
    collective.last = static_cast<std::size_t>(last - collective.members.begin());
  }
  run->contradicted = 0;
  for (const Precedence& each : precedences) {
    run->contradicted = std::max(run->contradicted, -(each.lead + moves[each.to] - moves[each.from]));
  }
}

}  // namespace lockstep::stalls
