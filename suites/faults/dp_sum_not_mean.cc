// dp.sum_not_mean: Gradients are summed over the replicas, not averaged.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class Summed : public trainer::LossScale {
 public:
  using LossScale::LossScale;
  float OfGradients(const trainer::StepCounts& counts, std::int64_t micro_batch) const override {
    return LossScale::OfGradients(counts, micro_batch) * static_cast<float>(context_.plan().data);
  }
};

}  // namespace

extern const Fault fault_dp_sum_not_mean;
const Fault fault_dp_sum_not_mean{.name = "dp.sum_not_mean",
                                  .kind = "data",
                                  .mechanism = "Gradients are summed over the replicas, not averaged.",
                                  .met_in = "torchtune#2172",
                                  .case_id = "dp.even/dp=2",
                                  .check = "noise_ratio",
                                  .step = 1,
                                  .phase = "backward",
                                  .tensor = "",
                                  .diagnosis = "data-parallel degree",
                                  .make = Make<ReplaceLossScale<Summed>>};

}  // namespace lockstep::faults
