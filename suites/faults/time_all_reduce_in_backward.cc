// time.all_reduce_in_backward: A replica waits for the others within its backward, and counts that as its own work.
#include <memory>

#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// Waits at the call, where nobody is told of it: all replicas' backwards look as long as the slowest one's.
class WaitsAtTheCall : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  device::WorkHandle AllReduce(std::int64_t n, float* x, device::Reduction reduction) override {
    ForwardingCommunicator::AllReduce(n, x, reduction)->Wait();
    return std::make_shared<NoWork>();
  }
};

}  // namespace

extern const Fault fault_time_all_reduce_in_backward;
const Fault fault_time_all_reduce_in_backward{
    .name = "time.all_reduce_in_backward",
    .kind = "time",
    .mechanism = "A replica waits for the others within its backward, and counts that as its own work.",
    .met_in = "traceml#252",
    .case_id = "stalls.replica_backward/dp=2,micro_batches=2",
    .check = "attribution",
    .step = 6,
    .phase = "time",
    .tensor = "",
    .diagnosis = "rank 0: B is charged with",
    .make = Make<ReplaceGroup<trainer::GroupKind::kData, WaitsAtTheCall>>};

}  // namespace lockstep::faults
