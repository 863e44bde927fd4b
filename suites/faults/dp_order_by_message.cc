// dp.order_by_message: The order in which the replicas' gradients are added depends on the size of the message.
#include "suites/faults/fault.h"
#include "suites/faults/ring_reducer.h"

namespace lockstep::faults {
namespace {

// Overlapped with backward, a bucket is a message; afterwards, all that is left is one.
class OneMessageAtTheEnd : public RingReducer {
 public:
  using RingReducer::RingReducer;

 protected:
  protocol::Run Message(const Bucket& bucket) const override {
    if (context_.plan().overlap) return RingReducer::Message(bucket);
    return {0, buckets_.back().begin + buckets_.back().size};
  }
};

}  // namespace

extern const Fault fault_dp_order_by_message;
const Fault fault_dp_order_by_message{
    .name = "dp.order_by_message",
    .kind = "data",
    .mechanism = "The order in which the replicas' gradients are added depends on the size of the message.",
    .met_in = "nccl#157",
    .case_id = "dp.overlap/dp=3,bucket_bytes=2048",
    .check = "by_construction",
    .step = 1,
    .phase = "reduction",
    .tensor = "head.weight",
    .diagnosis = "the overlapped reduction adds in another order",
    .make = Make<ReplaceReducer<OneMessageAtTheEnd>>};

}  // namespace lockstep::faults
