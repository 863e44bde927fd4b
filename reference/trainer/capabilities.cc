#include "reference/trainer/capabilities.h"

#include <algorithm>
#include <set>

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
  can.schedules = {"any"};  // whatever a line of F and B says
  can.data_forms = {"samples", "stream"};
  can.max_data = can.max_tensor = can.max_pipeline = 256;
  can.max_chunks = 1;
  can.max_micro_batches = 1024;
  can.sequence_parallel = can.dropout = can.tied = can.clipping = true;
  can.checkpoint_whole = can.checkpoint_sharded = true;
  can.uneven_micro_batches = can.uneven_tensor_split = true;
  can.recompute = false;
  can.zero_stages = {0};
  return can;
}

std::vector<Action> ComputeLine(const protocol::Schedule& schedule, std::int64_t pipeline_rank) {
  std::vector<Action> line;
  for (const Action& action : schedule.ranks.at(static_cast<std::size_t>(pipeline_rank))) {
    if (action.kind == ActionKind::kForward || action.kind == ActionKind::kBackward) line.push_back(action);
  }
  return line;
}

namespace {

// Every stage of this line's rank runs each micro-batch forward once and then backward once.
void CheckLine(const protocol::Request& request, std::int64_t rank, const std::string& where) {
  const protocol::Plan& plan = request.plan;
  const std::string field = where + ": schedule.ranks[" + std::to_string(rank) + "]";
  std::set<std::pair<std::int64_t, std::int64_t>> forward, backward;
  for (const Action& action : request.schedule.ranks[static_cast<std::size_t>(rank)]) {
    const std::string text = protocol::ToString(action);
    if (action.kind == ActionKind::kInputGradient || action.kind == ActionKind::kWeightGradient) {
      throw BadInput(field, text + " splits the backward, which this trainer can't", "F and B");
    }
    if (action.stage < 0 || action.stage >= plan.Stages() || action.stage % plan.pipeline != rank) {
      throw BadInput(field, text + " is of a stage that doesn't stand here", "stages s with s mod pipeline = rank");
    }
    if (action.micro_batch < 0 || action.micro_batch >= plan.micro_batches) {
      throw BadInput(field, text + " is of no micro-batch", "0 to " + std::to_string(plan.micro_batches - 1));
    }
    const std::pair key{action.stage, action.micro_batch};
    if (action.kind == ActionKind::kForward && !forward.insert(key).second) throw BadInput(field, text + " twice");
    if (action.kind == ActionKind::kBackward) {
      if (!forward.contains(key)) throw BadInput(field, text + " before its forward");
      if (!backward.insert(key).second) throw BadInput(field, text + " twice");
    }
  }
  const auto wanted = static_cast<std::size_t>(plan.chunks * plan.micro_batches);
  if (backward.size() != wanted) {
    throw BadInput(field, "has " + std::to_string(backward.size()) + " backwards", std::to_string(wanted));
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
  for (std::int64_t rank = 0; rank < request.plan.pipeline; ++rank) CheckLine(request, rank, where);
}

}  // namespace lockstep::trainer
