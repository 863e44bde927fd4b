// dp.sum_not_mean: Gradients are summed over the replicas, not averaged.
#include "suites/faults/denominator.h"
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class Summed : public Denominator {
 public:
  using Denominator::Denominator;

 protected:
  double InGradients(const trainer::StepCounts& counts, std::size_t) const override {
    return static_cast<double>(counts.global) / static_cast<double>(context_.plan().data);
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
