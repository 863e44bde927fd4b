// acc.not_divided: Gradients are not divided by the number of micro-batches.
#include "suites/faults/denominator.h"
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class NotDivided : public Denominator {
 public:
  using Denominator::Denominator;

 protected:
  double InGradients(const trainer::StepCounts& counts, std::size_t) const override {
    return static_cast<double>(counts.global) / static_cast<double>(context_.plan().micro_batches);
  }
};

}  // namespace

extern const Fault fault_acc_not_divided;
const Fault fault_acc_not_divided{.name = "acc.not_divided",
                                  .kind = "accumulation",
                                  .mechanism = "Gradients are not divided by the number of micro-batches.",
                                  .met_in = "torchtitan#1732",
                                  .case_id = "acc.uneven_micro_batches/micro_batches=3",
                                  .check = "noise_ratio",
                                  .step = 1,
                                  .phase = "backward",
                                  .tensor = "",
                                  .diagnosis = "micro-batches",
                                  .make = Make<ReplaceLossScale<NotDivided>>};

}  // namespace lockstep::faults
