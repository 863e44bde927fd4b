// pp.backwards_last_first: The backwards of a stage run from the last micro-batch to the first, against the schedule.
#include <algorithm>
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class LastFirst : public trainer::Seams {
 public:
  void EditRequest(protocol::Request& request, const protocol::Coordinates&) override {
    for (std::vector<protocol::Action>& line : request.schedule.ranks) {
      for (protocol::Action& action : line) {
        if (action.kind != protocol::ActionKind::kBackward) continue;
        action.micro_batch = request.plan.micro_batches - 1 - action.micro_batch;
      }
    }
  }
};

}  // namespace

extern const Fault fault_pp_backwards_last_first;
const Fault fault_pp_backwards_last_first{
    .name = "pp.backwards_last_first",
    .kind = "pipeline",
    .mechanism = "The backwards of a stage run from the last micro-batch to the first, against the schedule.",
    .met_in = "torchtitan#4312",
    .case_id = "pp.gpipe/pp=2,micro_batches=4,schedule=gpipe",
    .check = "by_construction",
    .step = 1,
    .phase = "backward",
    .tensor = "ln_f.bias",
    .diagnosis = "added in another order",
    .make = Make<LastFirst>};

}  // namespace lockstep::faults
