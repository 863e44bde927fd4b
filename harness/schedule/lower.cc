#include "harness/schedule/lower.h"

#include <algorithm>
#include <stdexcept>
#include <tuple>

#include "harness/schedule/execution.h"
#include "harness/schedule/index.h"

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;

// A place in the one order of all ranks. At equal times messages come first: what ended then goes out before what
// starts then comes in need of it.
struct Event {
  std::int64_t time = 0;
  bool computes = false;
  Id id = kNone;       // what is computed, or whose result is sent
  std::size_t to = 0;  // the receiving rank of a message
};

bool Before(const Event& a, const Event& b) {
  return std::tuple(a.time, a.computes, a.id) < std::tuple(b.time, b.computes, b.id);
}

std::vector<Event> Events(const Index& index, const Execution& execution) {
  std::vector<Event> events;
  for (Id id = 0; id < index.size(); ++id) {
    const Action& action = index.At(id);
    const Span& span = execution.spans[static_cast<std::size_t>(id)];
    events.push_back({span.start, true, id, 0});
    const bool forward = action.kind == ActionKind::kForward;
    if (!forward && action.kind != ActionKind::kBackward && action.kind != ActionKind::kInputGradient) continue;
    const Id there = index.Find(action.stage + (forward ? 1 : -1), ActionKind::kForward, action.micro_batch);
    if (there == kNone || index.Rank(there) == index.Rank(id)) continue;
    events.push_back({span.end, false, id, index.Rank(there)});
  }
  std::stable_sort(events.begin(), events.end(), Before);
  return events;
}

}  // namespace

protocol::Schedule WithTransfers(const protocol::Schedule& schedule) {
  Index index;
  if (const auto problem = Index::Build(schedule, &index)) throw std::logic_error(ToString(*problem));
  const Execution execution = Execute(index, Costs(), Channels(), Receives::kPost);
  if (!execution.Complete() || index.has_transfers()) throw std::logic_error("only a verified schedule is lowered");
  protocol::Schedule lowered = schedule;
  for (auto& line : lowered.ranks) line.clear();
  for (const Event& event : Events(index, execution)) {
    const Action& action = index.At(event.id);
    auto& here = lowered.ranks[index.Rank(event.id)];
    if (event.computes) {
      here.push_back(action);
      continue;
    }
    const bool forward = action.kind == ActionKind::kForward;
    here.push_back({action.stage, forward ? ActionKind::kSendForward : ActionKind::kSendBackward, action.micro_batch});
    lowered.ranks[event.to].push_back({action.stage + (forward ? 1 : -1),
                                       forward ? ActionKind::kReceiveForward : ActionKind::kReceiveBackward,
                                       action.micro_batch});
  }
  for (std::int64_t stage = 0; stage < schedule.stages; ++stage) {
    if (index.RanksOf(stage).size() < 2 || index.AllReduce(stage, index.RanksOf(stage)[0]) != kNone) continue;
    for (const std::size_t rank : index.RanksOf(stage)) {
      lowered.ranks[rank].push_back({stage, ActionKind::kAllReduce, protocol::kWholeStage});
    }
  }
  return lowered;
}

protocol::Schedule ComputeOnly(const protocol::Schedule& schedule) {
  protocol::Schedule computing = schedule;
  for (auto& line : computing.ranks) {
    std::erase_if(line, [](const Action& action) {
      return action.kind != ActionKind::kForward && action.kind != ActionKind::kBackward &&
             action.kind != ActionKind::kInputGradient && action.kind != ActionKind::kWeightGradient;
    });
  }
  return computing;
}

}  // namespace lockstep::schedule
