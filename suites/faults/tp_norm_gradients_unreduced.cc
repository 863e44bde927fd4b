// tp.norm_gradients_unreduced: Under sequence parallelism the gradients of replicated weights are not summed over the
// tensor ranks.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class Unreduced : public trainer::GradientReducer {
 public:
  using GradientReducer::GradientReducer;

 protected:
  void SumRows(Bucket&) override {}
};

}  // namespace

extern const Fault fault_tp_norm_gradients_unreduced;
const Fault fault_tp_norm_gradients_unreduced{
    .name = "tp.norm_gradients_unreduced",
    .kind = "tensor",
    .mechanism = "Under sequence parallelism the gradients of replicated weights are not summed over the tensor ranks.",
    .met_in = "Megatron-LM#1446",
    .case_id = "tp.sequence_parallel/tp=2,sequence_parallel=true",
    .check = "replicas",
    .step = 1,
    .phase = "reduction",
    .tensor = "",
    .diagnosis = "not reduced over tensor ranks",
    .make = Make<ReplaceReducer<Unreduced>>};

}  // namespace lockstep::faults
