// dp.init_differs: Initial parameters are not broadcast: each replica starts from its own.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class OwnStart : public trainer::InitialParameters {
 public:
  using InitialParameters::InitialParameters;
  protocol::Tensor Load(const trainer::LocalParameter& parameter, const std::string& state) override {
    protocol::Tensor values = InitialParameters::Load(parameter, state);
    if (state.empty() && context_.at.data > 0) {
      for (float& value : values.As<float>()) value = 0.75f * value + 0.01f;
    }
    return values;
  }
};

}  // namespace

extern const Fault fault_dp_init_differs;
const Fault fault_dp_init_differs{
    .name = "dp.init_differs",
    .kind = "data",
    .mechanism = "Initial parameters are not broadcast: each replica starts from its own.",
    .met_in = "torchtitan#166",
    .case_id = "dp.even/dp=2",
    .check = "replicas",
    .step = 0,
    .phase = "load",
    .tensor = "",
    .diagnosis = "start",
    .make = Make<ReplaceInitialParameters<OwnStart>>};

}  // namespace lockstep::faults
