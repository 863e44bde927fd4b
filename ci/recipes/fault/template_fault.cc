// template.fault: gradients are twice what they should be.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class Doubled : public trainer::LossScale {
 public:
  using LossScale::LossScale;
  float OfGradients(const trainer::StepCounts& counts, std::int64_t micro_batch) const override {
    return 2 * LossScale::OfGradients(counts, micro_batch);
  }
};

}  // namespace

extern const Fault fault_template_fault;
const Fault fault_template_fault{.name = "template.fault",
                                 .kind = "data",
                                 .mechanism = "Gradients are twice what they should be.",
                                 .met_in = "a template",
                                 .case_id = "template.case/pp=2,micro_batches=3,schedule=template",
                                 .check = "noise_ratio",
                                 .step = 1,
                                 .phase = "backward",
                                 .tensor = "",
                                 .diagnosis = "2.000",
                                 .make = Make<ReplaceLossScale<Doubled>>};

}  // namespace lockstep::faults
