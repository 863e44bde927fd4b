// pp.schedule_deadlock: The ranks' lines are in an order in which each waits for what another does later.
#include <set>
#include <tuple>

#include "harness/protocol/bad_input.h"
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::Action;
using protocol::ActionKind;
using Line = std::vector<Action>;

bool IsForward(const Action& action) { return action.kind == ActionKind::kForward; }
bool GivesInput(const Action& action) {
  return action.kind == ActionKind::kBackward || action.kind == ActionKind::kInputGradient;
}

// Runs the lines as far as they get, sends never waiting: how far each rank came.
std::vector<std::size_t> Run(const std::vector<Line>& lines, std::int64_t stages) {
  using Result = std::tuple<std::int64_t, std::int64_t, bool>;  // stage, micro-batch, backward
  std::set<Result> there;
  std::vector<std::size_t> cursors(lines.size(), 0);
  const auto ready = [&](const Action& action) {
    if (IsForward(action)) return action.stage == 0 || there.contains({action.stage - 1, action.micro_batch, false});
    if (!GivesInput(action)) return true;
    return there.contains({action.stage, action.micro_batch, false}) &&
           (action.stage == stages - 1 || there.contains({action.stage + 1, action.micro_batch, true}));
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < lines.size(); ++rank) {
      while (cursors[rank] < lines[rank].size() && ready(lines[rank][cursors[rank]])) {
        const Action& action = lines[rank][cursors[rank]++];
        if (IsForward(action) || GivesInput(action)) {
          there.insert({action.stage, action.micro_batch, GivesInput(action)});
        }
        moved = true;
      }
    }
  }
  return cursors;
}

// A backward moved before forwards of its rank, which the schedule's verifier would refuse: the first of the seed's
// order that brings the lines to a standstill by a wait for another rank.
class Reordered : public trainer::Seams {
 public:
  void EditRequest(protocol::Request& request, const protocol::Coordinates& at) override {
    std::vector<Line>& lines = request.schedule.ranks;
    Draw draw(FaultSeed());
    for (int tries = 0; tries < 10000; ++tries) {
      std::vector<Line> edited = lines;
      Line& line = edited[draw.Below(edited.size())];
      const std::size_t from = draw.Below(line.size()), to = draw.Below(line.size());
      if (to >= from || !GivesInput(line[from]) || !Movable(line, to, from)) continue;
      const Action moved = line[from];
      line.erase(line.begin() + static_cast<std::ptrdiff_t>(from));
      line.insert(line.begin() + static_cast<std::ptrdiff_t>(to), moved);
      if (moved.stage == request.schedule.stages - 1 || Run(edited, request.schedule.stages)[0] == lines[0].size()) {
        continue;
      }
      lines = edited;
      if (request.plan.RankOf(at) == 0) {
        Target where;
        where.edge.micro_batch = static_cast<std::int32_t>(moved.micro_batch);
        where.edge.source_stage = static_cast<std::int32_t>(moved.stage) + 1;
        where.edge.target_stage = static_cast<std::int32_t>(moved.stage);
        where.edge.step = static_cast<std::int32_t>(request.checkpoint.resume_step) + 1;
        Tell(protocol::StuckKind::kDeadlock, &line - edited.data(), -1, where);
      }
      return;
    }
    throw protocol::BadInput("--fault", "finds no order that deadlocks in " + request.id, "a pipeline");
  }

 private:
  // Behind its own forward, and with nothing between that needs it.
  static bool Movable(const Line& line, std::size_t to, std::size_t from) {
    for (std::size_t i = to; i < from; ++i) {
      if (!IsForward(line[i]) || (line[i].stage == line[from].stage && line[i].micro_batch == line[from].micro_batch)) {
        return false;
      }
    }
    return true;
  }
};

}  // namespace

extern const Fault fault_pp_schedule_deadlock;
const Fault fault_pp_schedule_deadlock{
    .name = "pp.schedule_deadlock",
    .kind = "pipeline",
    .mechanism = "The ranks' lines are in an order in which each waits for what another does later.",
    .met_in = "pytorch#172668",
    .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
    .found_by = "watcher",
    .diagnosis = "deadlock",
    .make = Make<Reordered>};

}  // namespace lockstep::faults
