// dp.local_mean_backward: The backward of a mean over a sharded batch divides by one replica's count.
#include "suites/faults/denominator.h"
#include "suites/faults/fault.h"

namespace lockstep::faults {
namespace {

class LocalCount : public Denominator {
 public:
  using Denominator::Denominator;

 protected:
  double InGradients(const trainer::StepCounts& counts, std::size_t) const override {
    return static_cast<double>(counts.replica);
  }
};

}  // namespace

extern const Fault fault_dp_local_mean_backward;
const Fault fault_dp_local_mean_backward{
    .name = "dp.local_mean_backward",
    .kind = "data",
    .mechanism = "The backward of a mean over a sharded batch divides by one replica's count.",
    .met_in = "DTensor's mse_loss, wrong in PyTorch 2.13.0",
    .case_id = "dp.uneven_tokens/dp=2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "backward",
    .tensor = "head.weight",
    .diagnosis = "the means of the replicas are added, not averaged",
    .make = Make<ReplaceLossScale<LocalCount>>};

}  // namespace lockstep::faults
