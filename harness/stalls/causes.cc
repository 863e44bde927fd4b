#include "harness/stalls/causes.h"

#include <algorithm>
#include <map>

namespace lockstep::stalls {
namespace {

constexpr double kMostOfIt = 0.5;  // above, one micro-batch is told to be the one

// Work that took longer than usual makes a straggler of its rank; what is always so is called what it is.
Category ReasonFor(const Item& item, Scope scope) {
  if (item.on_the_way) return item.category;
  if (scope == Scope::kOfStep) return Category::kStraggler;
  return item.category == Category::kCompute ? Category::kImbalance : item.category;
}

}  // namespace

CauseTable::CauseTable(const Tracks& tracks, Scope scope) : scope_(scope) {
  std::map<Operation, CauseId> ids;
  for (std::size_t rank = 0; rank < tracks.ranks.size(); ++rank) {
    const Track& track = tracks.ranks[rank];
    std::vector<CauseId>& pieces = pieces_.emplace_back(track.pieces.size(), CauseId{-1});
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      if (track.pieces[i].item < 0) continue;
      const Item& item = track.items[static_cast<std::size_t>(track.pieces[i].item)];
      const Operation operation{item.blamed >= 0 ? item.blamed : static_cast<std::int64_t>(rank),
                                scope == Scope::kOfStep ? item.step : -1, item.like.name, item.like.stage, item.peer};
      const auto [entry, fresh] = ids.emplace(operation, static_cast<CauseId>(ids.size()));
      if (fresh) reasons_.push_back(ReasonFor(item, scope));
      pieces[i] = entry->second;
    }
  }
  operations_.resize(ids.size());
  for (const auto& [operation, id] : ids) operations_[static_cast<std::size_t>(id)] = operation;
}

std::vector<Cause> CauseTable::Causes(const Tracks& tracks, const PieceSeconds& first, const PieceSeconds& second,
                                      const Comparison& comparison, const std::vector<double>& others_waited,
                                      double least) const {
  std::vector<Cause> causes(operations_.size());
  std::vector<double> slowest(operations_.size(), 0.0);
  for (std::size_t rank = 0; rank < tracks.ranks.size(); ++rank) {
    const Track& track = tracks.ranks[rank];
    std::vector<double> excess_of_item(track.items.size(), 0.0);
    for (std::size_t i = 0; i < track.pieces.size(); ++i) {
      const CauseId id = pieces_[rank][i];
      if (id < 0) continue;
      const double excess = second[rank][i] - first[rank][i];
      const auto item = static_cast<std::size_t>(track.pieces[i].item);
      const auto at = static_cast<std::size_t>(id);
      causes[at].excess += excess;
      excess_of_item[item] += excess;
      if (scope_ == Scope::kOfStep && excess_of_item[item] > slowest[at]) {
        slowest[at] = excess_of_item[item];
        causes[at].micro_batch = track.items[item].micro_batch;
      }
    }
  }
  const double steps = scope_ == Scope::kOfStep ? 1 : static_cast<double>(tracks.last_step - tracks.first_step + 1);
  std::vector<Cause> kept;
  for (std::size_t i = 0; i < causes.size(); ++i) {
    Cause& cause = causes[i];
    cause.operation = operations_[i];
    cause.category = reasons_[i];
    cause.usual = scope_ == Scope::kOfRun;
    if (slowest[i] < kMostOfIt * cause.excess) cause.micro_batch = -1;
    cause.excess /= steps;
    cause.step_cost = std::max(0.0, comparison.cost[i]) / steps;
    cause.others_waited = others_waited[i] / steps;
    if (cause.excess >= least) kept.push_back(cause);
  }
  std::stable_sort(kept.begin(), kept.end(), [](const Cause& a, const Cause& b) {
    return std::max(a.step_cost, a.others_waited) > std::max(b.step_cost, b.others_waited);
  });
  return kept;
}

}  // namespace lockstep::stalls
