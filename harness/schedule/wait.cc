#include "harness/schedule/wait.h"

#include <algorithm>

namespace lockstep::schedule {
namespace {

constexpr std::size_t kMostNamed = 6;  // operations of a cycle; longer ones are cut in the middle

// The ranks of the cycle that a stuck rank's wait leads into, each waiting for the next.
std::vector<std::size_t> Cycle(const Index& index, const Execution& execution) {
  const auto stuck =
      std::find_if(execution.waits_for.begin(), execution.waits_for.end(), [](Id id) { return id != kNone; });
  std::vector<std::size_t> path{static_cast<std::size_t>(stuck - execution.waits_for.begin())};
  for (;;) {
    const std::size_t next = index.Rank(execution.waits_for[path.back()]);
    const auto seen = std::find(path.begin(), path.end(), next);
    if (seen != path.end()) return {seen, path.end()};
    path.push_back(next);
  }
}

}  // namespace

Problem ExplainWait(const Index& index, const Execution& execution, const Channels& channels) {
  const std::vector<std::size_t> cycle = Cycle(index, execution);
  const auto at = [&](std::size_t rank) { return index.IdOf(rank, execution.cursors[rank]); };
  std::string text;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    if (cycle.size() > kMostNamed && i == kMostNamed - 1) {
      text += "; and so on over " + std::to_string(cycle.size() - i) + " more ranks";
      break;
    }
    const Id wanted = execution.waits_for[cycle[i]];
    const Id before = at(index.Rank(wanted));  // where the rank that has it stands
    if (i > 0) text += "; " + index.Place(at(cycle[i])) + " ";
    text += "waits for " + index.Place(wanted);
    if (before != wanted) text += ", which comes after " + protocol::ToString(index.At(before));
  }
  const std::string kind = index.has_transfers() ? " on " + ToString(channels) + " channels" : "";
  return index.At(at(cycle.front()), "deadlock" + kind + ": " + text);
}

}  // namespace lockstep::schedule
