// opt.clip_local_norm: Each stage clips by the norm of its own gradients.
#include <cmath>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class LocalNorm : public trainer::Clipper {
 public:
  using Clipper::Clipper;
  double Norm() override {
    double squares = 0;
    for (const auto& parameter : store_.all()) {
      squares += context_.device.SumOfSquares(parameter->size(), parameter->gradients[0].data);
    }
    return std::sqrt(squares);
  }
};

}  // namespace

extern const Fault fault_opt_clip_local_norm;
const Fault fault_opt_clip_local_norm{.name = "opt.clip_local_norm",
                                      .kind = "clip",
                                      .mechanism = "Each stage clips by the norm of its own gradients.",
                                      .met_in = "torchtitan#596",
                                      .case_id = "pp.adamw/pp=2,micro_batches=2",
                                      .check = "reported_norm",
                                      .step = 1,
                                      .phase = "clip",
                                      .tensor = "",
                                      .diagnosis = "pipeline stage 0 alone",
                                      .make = Make<ReplaceClipper<LocalNorm>>};

}  // namespace lockstep::faults
