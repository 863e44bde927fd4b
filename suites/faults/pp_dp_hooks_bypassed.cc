// pp.dp_hooks_bypassed: Weight gradients that are computed apart never reach the reduction over replicas.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// The reduction hangs on the end of a whole backward, which a schedule with I and W never runs.
class Unhooked : public trainer::GradientReducer {
 public:
  using GradientReducer::GradientReducer;
  void Ready(const std::vector<trainer::LocalParameter*>&) override {}

 protected:
  void SumReplicas(Bucket& bucket) override {
    for (trainer::LocalParameter* parameter : bucket.parameters) arena_.ZeroIfUntouched(*parameter);
    bucket.launched = true;
  }
};

}  // namespace

extern const Fault fault_pp_dp_hooks_bypassed;
const Fault fault_pp_dp_hooks_bypassed{
    .name = "pp.dp_hooks_bypassed",
    .kind = "pipeline",
    .mechanism = "Weight gradients that are computed apart never reach the reduction over replicas.",
    .met_in = "pytorch#144530",
    .case_id = "hybrid.schedules_dp/dp=2,pp=2,micro_batches=4,schedule=zb_h1",
    .check = "replicas",
    .step = 1,
    .phase = "reduction",
    .tensor = "ln_f.bias",
    .diagnosis = "not reduced over replicas",
    .make = Make<ReplaceReducer<Unhooked>>};

}  // namespace lockstep::faults
