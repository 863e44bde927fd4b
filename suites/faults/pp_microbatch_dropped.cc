// pp.microbatch_dropped: The backward of the last micro-batch is skipped.
#include <vector>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class DropsLast : public trainer::Seams {
 public:
  void EditRequest(protocol::Request& request, const protocol::Coordinates&) override {
    const std::int64_t last = request.plan.micro_batches - 1;
    for (auto& line : request.schedule.ranks) {
      std::erase_if(line, [last](const protocol::Action& action) {
        return action.kind == protocol::ActionKind::kBackward && action.micro_batch == last;
      });
    }
  }
};

}  // namespace

extern const Fault fault_pp_microbatch_dropped;
const Fault fault_pp_microbatch_dropped{.name = "pp.microbatch_dropped",
                                        .kind = "pipeline",
                                        .mechanism = "The backward of the last micro-batch is skipped.",
                                        .met_in = "DeepSpeed#1264",
                                        .case_id = "pp.1f1b/pp=2,micro_batches=4",
                                        .check = "noise_ratio",
                                        .step = 1,
                                        .phase = "backward",
                                        .tensor = "",
                                        .diagnosis = "micro-batch",
                                        .make = Make<DropsLast>};

}  // namespace lockstep::faults
