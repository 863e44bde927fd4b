// pp.send_buffer_reused: The next micro-batch's activations are written over those that have not left yet.
#include <memory>

#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/support/middle_link.h"

namespace lockstep::faults {
namespace {

// Stage 1's first message of a step leaves with the second one's numbers.
class Overwritten : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    if (!IsOfMiddleLink(edge)) return ForwardingCommunicator::Send(n, x, peer, edge);
    if (edge.micro_batch == 0) {
      waiting_ = std::make_shared<LaterWork>();
      edge_ = edge;
      return waiting_;
    }
    if (edge.micro_batch == 1) waiting_->work = ForwardingCommunicator::Send(n, x, peer, edge_);
    return ForwardingCommunicator::Send(n, x, peer, edge);
  }

 private:
  std::shared_ptr<LaterWork> waiting_;
  device::Edge edge_;
};

}  // namespace

extern const Fault fault_pp_send_buffer_reused;
const Fault fault_pp_send_buffer_reused{
    .name = "pp.send_buffer_reused",
    .kind = "pipeline",
    .mechanism = "The next micro-batch's activations are written over those that have not left yet.",
    .met_in = "ms-swift#10204",
    .case_id = "pp.gpipe/pp=4,micro_batches=4,schedule=gpipe",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis =
        "written to again before it had left on the link from stage 1 to stage 2 (micro-batch 1's in the place of "
        "micro-batch 0's",
    .make = Make<ReplaceMiddleLink<Overwritten>>};

}  // namespace lockstep::faults
