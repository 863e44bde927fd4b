// pp.link_crossed: The activations of the first two micro-batches are swapped between two stages.
#include <memory>

#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/support/middle_link.h"

namespace lockstep::faults {
namespace {

// Sends the second micro-batch's activations under the first one's name, and the other way round; from stage 1 alone,
// as what changes places twice is where it was.
class Crossed : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    if (!IsOfMiddleLink(edge) || edge.micro_batch > 1) return ForwardingCommunicator::Send(n, x, peer, edge);
    if (edge.micro_batch == 0) {
      first_ = {n, x, edge, std::make_shared<LaterWork>()};
      return first_.later;
    }
    first_.later->work = ForwardingCommunicator::Send(first_.n, x, peer, first_.edge);
    auto work = ForwardingCommunicator::Send(n, first_.x, peer, edge);
    return work;
  }

 private:
  struct Held {
    std::int64_t n = 0;
    const float* x = nullptr;
    device::Edge edge;
    std::shared_ptr<LaterWork> later;
  };
  Held first_;
};

}  // namespace

extern const Fault fault_pp_link_crossed;
const Fault fault_pp_link_crossed{
    .name = "pp.link_crossed",
    .kind = "pipeline",
    .mechanism = "The activations of the first two micro-batches are swapped between two stages.",
    .met_in = "pytorch#172668",
    .case_id = "pp.gpipe/pp=4,micro_batches=4,schedule=gpipe",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "changed places on the link from stage 1 to stage 2",
    .make = Make<ReplaceMiddleLink<Crossed>>};

}  // namespace lockstep::faults
