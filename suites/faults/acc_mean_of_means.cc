// acc.mean_of_means: A mean for each micro-batch, then the mean of these, with uneven valid tokens.
#include "suites/faults/denominator.h"
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// Every micro-batch divides by its own count, as if all of the replica's had as many.
class MeanOfMeans : public Denominator {
 public:
  using Denominator::Denominator;

 protected:
  double InGradients(const trainer::StepCounts& counts, std::size_t micro_batch) const override {
    const double replicas = static_cast<double>(counts.global) / static_cast<double>(counts.replica);
    return static_cast<double>(counts.micro_batches[micro_batch]) * static_cast<double>(counts.micro_batches.size()) *
           replicas;
  }
  double InLoss(const trainer::StepCounts& counts, std::size_t micro_batch) const override {
    return InGradients(counts, micro_batch);
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
