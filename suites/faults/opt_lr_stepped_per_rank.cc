// opt.lr_stepped_per_rank: The learning-rate schedule advances once a replica in each step.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class SteppedPerRank : public trainer::OptimizerStep {
 public:
  using OptimizerStep::OptimizerStep;
  double LearningRate(std::int64_t step) const override {
    return OptimizerStep::LearningRate(step * context_.plan().data);
  }
};

}  // namespace

extern const Fault fault_opt_lr_stepped_per_rank;
const Fault fault_opt_lr_stepped_per_rank{
    .name = "opt.lr_stepped_per_rank",
    .kind = "optimizer",
    .mechanism = "The learning-rate schedule advances once a replica in each step.",
    .met_in = "transformers#24088",
    .case_id = "opt.momentum_clip/dp=2,micro_batches=2",
    .check = "learning_rate",
    .step = 1,
    .phase = "optimizer",
    .tensor = "",
    .diagnosis = "data-parallel degree times a step",
    .make = Make<ReplaceOptimizer<SteppedPerRank>>};

}  // namespace lockstep::faults
