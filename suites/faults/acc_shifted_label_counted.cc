// acc.shifted_label_counted: The count of targets holds one label a sequence that the shift has dropped.
#include "suites/faults/denominator.h"
#include "suites/faults/fault.h"

namespace lockstep::faults {
namespace {

class CountsDropped : public Denominator {
 public:
  using Denominator::Denominator;

 protected:
  double InGradients(const trainer::StepCounts& counts, std::size_t) const override {
    return static_cast<double>(counts.global + context_.request.workload.global_batch);
  }
  double InLoss(const trainer::StepCounts& counts, std::size_t micro_batch) const override {
    return InGradients(counts, micro_batch);
  }
};

}  // namespace

extern const Fault fault_acc_shifted_label_counted;
const Fault fault_acc_shifted_label_counted{
    .name = "acc.shifted_label_counted",
    .kind = "accumulation",
    .mechanism = "The count of targets holds one label a sequence that the shift has dropped.",
    .met_in = "transformers 4.57.1",
    .case_id = "acc.uneven_tokens/micro_batches=3",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "head.weight",
    .diagnosis = "counted though the shift has dropped it",
    .make = Make<ReplaceLossScale<CountsDropped>>};

}  // namespace lockstep::faults
