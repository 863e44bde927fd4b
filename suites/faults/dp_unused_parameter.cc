// dp.unused_parameter: A replica that did not use a parameter in a step leaves its own empty gradient as it is.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// Takes part in the sum, so that nobody waits, and does not take its result.
class LeavesUnused : public trainer::GradientReducer {
 public:
  using GradientReducer::GradientReducer;
  void BeginStep() override {
    GradientReducer::BeginStep();
    unused_.clear();
  }
  void Finish() override {
    GradientReducer::Finish();
    for (const trainer::LocalParameter* parameter : unused_) {
      context_.device.Zero(parameter->gradients[0].data, parameter->bytes());
    }
  }

 protected:
  void SumReplicas(Bucket& bucket) override {
    for (const trainer::LocalParameter* parameter : bucket.parameters) {
      if (!parameter->gradients[0].touched) unused_.push_back(parameter);
    }
    GradientReducer::SumReplicas(bucket);
  }

 private:
  std::vector<const trainer::LocalParameter*> unused_;
};

}  // namespace

extern const Fault fault_dp_unused_parameter;
const Fault fault_dp_unused_parameter{
    .name = "dp.unused_parameter",
    .kind = "data",
    .mechanism = "A replica that did not use a parameter in a step leaves its own empty gradient as it is.",
    .met_in = "pytorch#69031, #124193",
    .case_id = "data.epochs/dp=4",
    .check = "replicas",
    .step = 3,
    .phase = "reduction",
    .tensor = "layers.1.bias",
    .diagnosis = "not reduced over replicas",
    .make = Make<ReplaceReducer<LeavesUnused>>};

}  // namespace lockstep::faults
