// acc.last_window_divisor: The shorter last window of an epoch is divided by a full window's count.
#include "suites/faults/denominator.h"
#include "suites/faults/fault.h"

namespace lockstep::faults {
namespace {

class FullWindow : public Denominator {
 public:
  using Denominator::Denominator;

 protected:
  // Every sample of the case has one target.
  double InGradients(const trainer::StepCounts&, std::size_t) const override {
    return static_cast<double>(context_.request.workload.global_batch);
  }
};

}  // namespace

extern const Fault fault_acc_last_window_divisor;
const Fault fault_acc_last_window_divisor{
    .name = "acc.last_window_divisor",
    .kind = "accumulation",
    .mechanism = "The shorter last window of an epoch is divided by a full window's count.",
    .met_in = "Lightning#19987",
    .case_id = "data.epochs/micro_batches=2",
    .check = "noise_ratio",
    .step = 3,
    .phase = "backward",
    .tensor = "layers.1.bias",
    .diagnosis = "the short last batch is divided by a full batch's count",
    .make = Make<ReplaceLossScale<FullWindow>>};

}  // namespace lockstep::faults
