// dp.missing_all_reduce: One tensor is left out of the reduction over replicas.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class Forgets : public trainer::GradientReducer {
 public:
  using GradientReducer::GradientReducer;

 protected:
  bool Includes(const trainer::LocalParameter& parameter) const override {
    return parameter.name != "h.0.mlp.fc.weight";
  }
};

}  // namespace

extern const Fault fault_dp_missing_all_reduce;
const Fault fault_dp_missing_all_reduce{.name = "dp.missing_all_reduce",
                                        .kind = "data",
                                        .mechanism = "One tensor is left out of the reduction over replicas.",
                                        .met_in = "pytorch#128949",
                                        .case_id = "dp.even/dp=2",
                                        .check = "replicas",
                                        .step = 1,
                                        .phase = "reduction",
                                        .tensor = "h.0.mlp.fc.weight",
                                        .diagnosis = "not reduced",
                                        .make = Make<ReplaceReducer<Forgets>>};

}  // namespace lockstep::faults
