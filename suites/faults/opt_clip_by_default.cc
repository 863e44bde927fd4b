// opt.clip_by_default: Gradients are clipped though nobody asked for it.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class ClipsAnyway : public trainer::Seams {
 public:
  void EditRequest(protocol::Request& request, const protocol::Coordinates&) override {
    if (request.workload.optimizer.clip_norm == 0) request.workload.optimizer.clip_norm = 0.25;
  }
};

}  // namespace

extern const Fault fault_opt_clip_by_default;
const Fault fault_opt_clip_by_default{.name = "opt.clip_by_default",
                                      .kind = "clip",
                                      .mechanism = "Gradients are clipped though nobody asked for it.",
                                      .met_in = "DeepSpeed 0.19.3, PR #8068",
                                      .case_id = "dp.even/dp=2",
                                      .check = "effective_plan",
                                      .step = 0,
                                      .phase = "plan",
                                      .tensor = "",
                                      .diagnosis = "clip",
                                      .make = Make<ClipsAnyway>};

}  // namespace lockstep::faults
