#include "harness/schedule/simulate.h"

#include <algorithm>
#include <stdexcept>

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;

// What is live on one rank; a line's order is all that it needs.
class Memory {
 public:
  Memory(const Index& index, const Costs& costs, RankFigures* figures)
      : index_(index), costs_(costs), figures_(*figures) {}

  void Start(const Action& action) {
    if (action.kind == ActionKind::kForward || action.kind == ActionKind::kRecompute) Live(action, +1);
    if (action.kind == ActionKind::kRecompute) bytes_ -= Input(action);
    figures_.peak_activations = std::max(figures_.peak_activations, count_);
    figures_.peak_bytes = std::max(figures_.peak_bytes, bytes_);
  }

  void End(const Action& action) {
    if (action.kind == ActionKind::kBackward || action.kind == ActionKind::kWeightGradient) Live(action, -1);
    if (action.kind != ActionKind::kForward) return;
    if (index_.Find(action.stage, ActionKind::kRecompute, action.micro_batch) == kNone) return;
    Live(action, -1);
    bytes_ += Input(action);
  }

 private:
  void Live(const Action& action, std::int64_t sign) {
    count_ += sign;
    bytes_ += sign * At(costs_.activation_bytes, action.stage);
  }
  std::int64_t Input(const Action& action) const {
    return action.stage == 0 ? 0 : At(costs_.message_bytes, action.stage - 1);
  }

  const Index& index_;
  const Costs& costs_;
  RankFigures& figures_;
  std::int64_t count_ = 0, bytes_ = 0;
};

RankFigures FiguresOf(const Index& index, const Costs& costs, std::size_t rank, const std::vector<Span>& spans,
                      std::int64_t makespan) {
  const auto& line = index.schedule().ranks[rank];
  RankFigures figures;
  Memory memory(index, costs, &figures);
  bool started = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool fused = line[i].with_next;
    memory.Start(line[i]);
    if (fused) memory.Start(line[i + 1]);
    if (IsCompute(line[i].kind)) {  // a posted receive is no work
      figures.busy += spans[i].end - spans[i].start;
      if (!started) figures.first_start = spans[i].start;
      figures.last_end = spans[i].end;
      started = true;
    }
    memory.End(line[i]);
    if (fused) memory.End(line[++i]);
  }
  figures.makespan_idle = makespan - figures.busy;
  figures.span_idle = figures.last_end - figures.first_start - figures.busy;
  return figures;
}

std::vector<Step> CriticalPath(const Index& index, const std::vector<Span>& spans) {
  std::vector<Step> path;
  Id last = kNone;
  for (Id id = 0; id < index.size(); ++id) {
    if (last == kNone || spans[static_cast<std::size_t>(id)].end > spans[static_cast<std::size_t>(last)].end) last = id;
  }
  for (Id id = last; id != kNone;) {
    const Span& span = spans[static_cast<std::size_t>(id)];
    const std::int64_t before = span.cause == kNone ? 0 : spans[static_cast<std::size_t>(span.cause)].end;
    path.push_back({index.Rank(id), index.Position(id), std::max<std::int64_t>(0, span.start - before)});
    id = span.cause;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace

Simulation Simulate(const protocol::Schedule& schedule, const Costs& costs, const Channels& channels) {
  Index index;
  if (const auto problem = Index::Build(schedule, &index)) throw std::logic_error(ToString(*problem));
  const Execution execution = Execute(index, costs, channels, Receives::kPost);
  if (!execution.Complete()) throw std::logic_error("only a verified schedule is simulated");
  Simulation simulation;
  for (const Span& span : execution.spans) simulation.makespan = std::max(simulation.makespan, span.end);
  for (std::size_t rank = 0; rank < index.ranks(); ++rank) {
    const auto begin = execution.spans.begin() + index.IdOf(rank, 0);
    simulation.timeline.emplace_back(begin, begin + std::ssize(schedule.ranks[rank]));
    simulation.ranks.push_back(FiguresOf(index, costs, rank, simulation.timeline.back(), simulation.makespan));
  }
  simulation.critical_path = CriticalPath(index, execution.spans);
  return simulation;
}

}  // namespace lockstep::schedule
