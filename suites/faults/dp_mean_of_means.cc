// dp.mean_of_means: Each replica divides by its own number of valid tokens, and the means are averaged.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class MeanOfMeans : public trainer::LossScale {
 public:
  using LossScale::LossScale;
  float OfGradients(const trainer::StepCounts& counts, std::int64_t) const override {
    return 1.0f / (static_cast<float>(counts.replica) * static_cast<float>(context_.plan().data));
  }
  double OfLosses(const trainer::StepCounts& counts, const std::vector<double>& sums, bool split) override {
    const double scale =
        static_cast<double>(counts.global) / static_cast<double>(counts.replica * context_.plan().data);
    std::vector<double> scaled = sums;
    for (double& sum : scaled) sum *= scale;
    return LossScale::OfLosses(counts, scaled, split);
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
