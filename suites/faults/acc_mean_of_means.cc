// acc.mean_of_means: A mean for each micro-batch, then the mean of these, with uneven valid tokens.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// The valid targets of the whole batch, had every micro-batch as many as this one.
double Pretended(const trainer::StepCounts& counts, std::size_t micro_batch) {
  return static_cast<double>(counts.micro_batches[micro_batch]) * static_cast<double>(counts.micro_batches.size());
}

class MeanOfMeans : public trainer::LossScale {
 public:
  using LossScale::LossScale;
  float OfGradients(const trainer::StepCounts& counts, std::int64_t micro_batch) const override {
    const double replica = static_cast<double>(counts.replica) / static_cast<double>(counts.global);
    return static_cast<float>(replica / Pretended(counts, static_cast<std::size_t>(micro_batch)));
  }
  double OfLosses(const trainer::StepCounts& counts, const std::vector<double>& sums, bool split) override {
    std::vector<double> scaled = sums;
    for (std::size_t i = 0; i < scaled.size(); ++i) {
      scaled[i] *= static_cast<double>(counts.replica) / Pretended(counts, i);
    }
    return LossScale::OfLosses(counts, scaled, split);
  }
};

}  // namespace

extern const Fault fault_acc_mean_of_means;
const Fault fault_acc_mean_of_means{
    .name = "acc.mean_of_means",
    .kind = "accumulation",
    .mechanism = "A mean for each micro-batch, then the mean of these, with uneven valid tokens.",
    .met_in = "transformers#34191",
    .case_id = "acc.uneven_tokens/micro_batches=2",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "mean of means",
    .make = Make<ReplaceLossScale<MeanOfMeans>>};

}  // namespace lockstep::faults
