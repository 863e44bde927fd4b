// dp.mean_of_means: Each replica divides by its own number of valid tokens, and the means are averaged.
#include "suites/faults/denominator.h"
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class MeanOfMeans : public Denominator {
 public:
  using Denominator::Denominator;

 protected:
  double InGradients(const trainer::StepCounts& counts, std::size_t) const override {
    return static_cast<double>(counts.replica * context_.plan().data);
  }
  double InLoss(const trainer::StepCounts& counts, std::size_t micro_batch) const override {
    return InGradients(counts, micro_batch);
  }
};

}  // namespace

extern const Fault fault_dp_mean_of_means;
const Fault fault_dp_mean_of_means{
    .name = "dp.mean_of_means",
    .kind = "data",
    .mechanism = "Each replica divides by its own number of valid tokens, and the means are averaged.",
    .met_in = "transformers#34242, torchtitan#2206",
    .case_id = "dp.uneven_tokens/dp=2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "mean of means",
    .make = Make<ReplaceLossScale<MeanOfMeans>>};

}  // namespace lockstep::faults
