// acc.not_divided: Gradients are not divided by the number of micro-batches.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class NotDivided : public trainer::LossScale {
 public:
  using LossScale::LossScale;
  float OfGradients(const trainer::StepCounts& counts, std::int64_t micro_batch) const override {
    return LossScale::OfGradients(counts, micro_batch) * static_cast<float>(context_.plan().micro_batches);
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
