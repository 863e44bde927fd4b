#include "reference/trainer/capabilities.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "harness/protocol/bad_input.h"

namespace lockstep::trainer {

using protocol::Action;
using protocol::ActionKind;
using protocol::BadInput;

protocol::Capabilities Describe(const std::string& name) {
  protocol::Capabilities can;
  can.name = name;
  can.version = LOCKSTEP_VERSION;
  can.protocol = protocol::kProtocolVersion;
  can.models = {"mlp", "gpt"};
  can.losses = {"squared_error", "cross_entropy"};
  can.optimizers = {"sgd", "momentum", "adamw"};
  can.precisions = {"fp32", "bf16"};
  can.schedules = {"any"};  // whatever lines of F, B, I and W say
  can.data_forms = {"samples", "stream"};
  can.max_data = can.max_tensor = can.max_pipeline = 256;
  can.max_chunks = 256;
  can.max_micro_batches = 1024;
  can.sequence_parallel = can.dropout = can.tied = can.clipping = true;
  can.checkpoint_whole = can.checkpoint_sharded = true;
  can.uneven_micro_batches = can.uneven_tensor_split = true;
  can.recompute = false;
  can.delays = true;
  can.zero_stages = {0};
  return can;
}

namespace {

bool IsComputation(ActionKind kind) {
  return kind == ActionKind::kForward || kind == ActionKind::kBackward || kind == ActionKind::kInputGradient ||
         kind == ActionKind::kWeightGradient;
}

}  // namespace

std::vector<LineAction> ComputeLine(const protocol::Schedule& schedule, std::int64_t pipeline_rank) {
  std::vector<LineAction> line;
  std::int64_t position = 0;
  for (const Action& action : schedule.ranks.at(static_cast<std::size_t>(pipeline_rank))) {
    if (IsComputation(action.kind)) line.push_back({action, position});
    ++position;
  }
  return line;
}

namespace {

// A line is right when each stage and micro-batch in it goes forward once and then back once, whole or in parts.
class LineCheck {
 public:
  LineCheck(const protocol::Request& request, std::int64_t rank, const std::string& where)
      : plan_(request.plan),
        field_(where + ": schedule.ranks[" + std::to_string(rank) + "]"),
        held_(protocol::PlacementOf(request.schedule)[static_cast<std::size_t>(rank)]) {}

  // Stages and micro-batches that this line computes.
  using Keys = std::set<std::pair<std::int64_t, std::int64_t>>;

  Keys Check(const std::vector<Action>& line) {
    for (const Action& action : line) {
      if (action.kind == ActionKind::kRecompute) Refuse(action, "recomputes, which this trainer can't");
      if (IsComputation(action.kind)) See(action);
    }
    Keys keys;
    for (const auto& [key, phase] : phases_) {
      const Action forward{key.first, ActionKind::kForward, key.second};
      if (phase == Phase::kForward) Refuse(forward, "has no backward");
      if (phase == Phase::kInput) Refuse(forward, "has an input gradient and no weight gradient");
      keys.insert(key);
    }
    return keys;
  }

 private:
  enum class Phase { kNone, kForward, kInput, kDone };

  [[noreturn]] void Refuse(const Action& action, const std::string& problem, const std::string& expected = "") const {
    throw BadInput(field_, protocol::ToString(action) + " " + problem, expected);
  }

  void See(const Action& action) {
    if (std::find(held_.begin(), held_.end(), action.stage) == held_.end()) {
      Refuse(action, "is of a stage that doesn't stand here", "a stage that the placement puts on this rank");
    }
    if (action.micro_batch < 0 || action.micro_batch >= plan_.micro_batches) {
      Refuse(action, "is of no micro-batch", "0 to " + std::to_string(plan_.micro_batches - 1));
    }
    Phase& phase = phases_[{action.stage, action.micro_batch}];
    switch (action.kind) {
      case ActionKind::kForward:
        if (phase != Phase::kNone) Refuse(action, "twice");
        phase = Phase::kForward;
        break;
      case ActionKind::kWeightGradient:
        if (phase == Phase::kDone) Refuse(action, "twice");
        if (phase != Phase::kInput) Refuse(action, "before its input gradient");
        phase = Phase::kDone;
        break;
      default:
        if (phase == Phase::kNone) Refuse(action, "before its forward");
        if (phase != Phase::kForward) Refuse(action, "twice");
        phase = action.kind == ActionKind::kBackward ? Phase::kDone : Phase::kInput;
    }
  }

  const protocol::Plan& plan_;
  std::string field_;
  std::vector<std::int64_t> held_;
  std::map<std::pair<std::int64_t, std::int64_t>, Phase> phases_;
};

// Ranks that share a stage must share all of theirs: their gradients are summed over one group of ranks.
void CheckPlacement(const protocol::Request& request, const std::string& where) {
  auto placement = protocol::PlacementOf(request.schedule);
  for (std::vector<std::int64_t>& stages : placement) std::sort(stages.begin(), stages.end());
  for (const std::vector<std::int64_t>& stages : placement) {
    if (stages.empty()) throw BadInput(where + ": schedule.placement", "leaves a rank without a stage");
    for (const std::int64_t stage : stages) {
      for (const std::int64_t rank : protocol::RanksOfStage(request.schedule, stage)) {
        if (placement[static_cast<std::size_t>(rank)] == stages) continue;
        throw BadInput(where + ": schedule.placement",
                       "puts stage " + std::to_string(stage) + " on ranks that don't hold the same stages",
                       "ranks that share one share all, which is all that this trainer can");
      }
    }
  }
}

void CheckLines(const protocol::Request& request, const std::string& where) {
  const protocol::Plan& plan = request.plan;
  LineCheck::Keys all;
  for (std::int64_t rank = 0; rank < plan.pipeline; ++rank) {
    LineCheck check(request, rank, where);
    for (const auto& key : check.Check(request.schedule.ranks[static_cast<std::size_t>(rank)])) {
      if (!all.insert(key).second) {
        throw BadInput(where + ": schedule.ranks[" + std::to_string(rank) + "]",
                       "computes stage " + std::to_string(key.first) + " for micro-batch " +
                           std::to_string(key.second) + ", as another rank does");
      }
    }
  }
  for (std::int64_t stage = 0; stage < plan.Stages(); ++stage) {
    for (std::int64_t micro_batch = 0; micro_batch < plan.micro_batches; ++micro_batch) {
      if (all.contains({stage, micro_batch})) continue;
      throw BadInput(where + ": schedule.ranks",
                     "hold no " + protocol::ToString({stage, ActionKind::kForward, micro_batch}),
                     "each stage for each micro-batch");
    }
  }
}

}  // namespace

void Refuse(const protocol::Request& request, const protocol::Capabilities& can, const std::string& where) {
  const std::string why = protocol::WhyUnsupported(can, request.workload, request.plan);
  if (!why.empty()) throw BadInput(where, "this trainer can't: " + why);
  const protocol::Model& model = request.workload.model;
  if (model.kind == protocol::ModelKind::kGpt && model.vocabulary < request.plan.tensor) {
    throw BadInput(where + ": workload.model.vocabulary", "smaller than the tensor-parallel degree");
  }
  if (static_cast<std::int64_t>(request.schedule.ranks.size()) != request.plan.pipeline) {
    throw BadInput(where + ": schedule.ranks", "has " + std::to_string(request.schedule.ranks.size()) + " lines",
                   "one a pipeline rank, " + std::to_string(request.plan.pipeline));
  }
  CheckPlacement(request, where);
  CheckLines(request, where);
}

}  // namespace lockstep::trainer
