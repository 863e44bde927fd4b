// pp.weight_gradient_lost: The last stage never computes one micro-batch's weight gradient.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class LosesOne : public trainer::Seams {
 public:
  void EditRequest(protocol::Request& request, const protocol::Coordinates&) override {
    std::erase_if(request.schedule.ranks.back(), [](const protocol::Action& action) {
      return action.kind == protocol::ActionKind::kWeightGradient && action.micro_batch == 1;
    });
  }
};

}  // namespace

extern const Fault fault_pp_weight_gradient_lost;
const Fault fault_pp_weight_gradient_lost{
    .name = "pp.weight_gradient_lost",
    .kind = "pipeline",
    .mechanism = "The last stage never computes one micro-batch's weight gradient.",
    .met_in = "Megatron-DeepSpeed#428",
    .case_id = "pp.schedules_partition/pp=3,micro_batches=4,schedule=zb_h1,partition=1+3+2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "backward",
    .tensor = "head.weight",
    .diagnosis = "the backward of one micro-batch is missing (micro-batch 1",
    .make = Make<LosesOne>};

}  // namespace lockstep::faults
