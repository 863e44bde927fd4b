#include "harness/schedule/costs.h"

namespace lockstep::schedule {

using protocol::Action;
using protocol::ActionKind;

const std::vector<CostField>& CostFields() {
  static const std::vector<CostField> fields{
      {"forward", "ticks of a forward, F", &Costs::forward},
      {"input_gradient", "ticks of an input gradient, I", &Costs::input_gradient},
      {"weight_gradient", "ticks of a weight gradient, W", &Costs::weight_gradient},
      {"backward", "ticks of a whole backward, B; I + W if absent", &Costs::backward},
      {"fused", "ticks of a forward and a backward at once; their sum if absent", &Costs::fused},
      {"recompute", "ticks of RECOMPUTE; F if absent", &Costs::recompute},
      {"all_reduce", "ticks of REDUCE_GRAD", &Costs::all_reduce},
      {"gather", "ticks of UNSHARD", &Costs::gather},
      {"reshard", "ticks of RESHARD", &Costs::reshard},
      {"optimizer", "ticks of OPTIMIZER", &Costs::optimizer},
      {"activation_bytes", "bytes that a micro-batch holds on a stage until its last backward",
       &Costs::activation_bytes},
      {"message_bytes", "bytes of a message between two stages", &Costs::message_bytes},
      {"latency", "ticks of a link's latency", nullptr, &Costs::latency},
      {"bandwidth", "bytes a tick of a link; 0 is without limit", nullptr, &Costs::bandwidth}};
  return fields;
}

std::int64_t At(const PerStage& list, std::int64_t stage) {
  return list.size() == 1 ? list[0] : list.at(static_cast<std::size_t>(stage));
}

std::int64_t Duration(const Costs& costs, const Action& action) {
  const std::int64_t s = action.stage;
  switch (action.kind) {
    case ActionKind::kForward:
      return At(costs.forward, s);
    case ActionKind::kBackward:
      return costs.backward.empty() ? At(costs.input_gradient, s) + At(costs.weight_gradient, s)
                                    : At(costs.backward, s);
    case ActionKind::kInputGradient:
      return At(costs.input_gradient, s);
    case ActionKind::kWeightGradient:
      return At(costs.weight_gradient, s);
    case ActionKind::kRecompute:
      return costs.recompute.empty() ? At(costs.forward, s) : At(costs.recompute, s);
    case ActionKind::kAllReduce:
      return At(costs.all_reduce, s);
    case ActionKind::kGather:
      return At(costs.gather, s);
    case ActionKind::kReshard:
      return At(costs.reshard, s);
    case ActionKind::kOptimizer:
      return At(costs.optimizer, s);
    case ActionKind::kSendForward:
    case ActionKind::kReceiveForward:
    case ActionKind::kSendBackward:
    case ActionKind::kReceiveBackward:
      return 0;  // the link's time, not the rank's
  }
  return 0;
}

std::int64_t FusedDuration(const Costs& costs, const Action& first, const Action& second) {
  if (costs.fused.empty()) return Duration(costs, first) + Duration(costs, second);
  return At(costs.fused, first.kind == ActionKind::kForward ? first.stage : second.stage);
}

std::int64_t TransferTicks(const Costs& costs, std::int64_t stage) {
  if (costs.bandwidth == 0) return 0;
  const std::int64_t bytes = At(costs.message_bytes, stage);
  return bytes / costs.bandwidth + (bytes % costs.bandwidth != 0 ? 1 : 0);
}

}  // namespace lockstep::schedule
