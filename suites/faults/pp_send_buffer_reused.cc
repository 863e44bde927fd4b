// pp.send_buffer_reused: The next micro-batch's activations are written over those that have not left yet.
#include <utility>

#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// Work that starts with the next message.
class Later : public device::Work {
 public:
  void Wait() override {
    if (work) work->Wait();
  }
  bool Done() override { return work && work->Done(); }
  device::WorkHandle work;
};

// The first message of a step leaves with the second one's numbers.
class Overwritten : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    if (edge.micro_batch == 0) {
      waiting_ = std::make_shared<Later>();
      edge_ = edge;
      return waiting_;
    }
    if (edge.micro_batch == 1) waiting_->work = ForwardingCommunicator::Send(n, x, peer, edge_);
    return ForwardingCommunicator::Send(n, x, peer, edge);
  }

 private:
  std::shared_ptr<Later> waiting_;
  device::Edge edge_;
};

class Reuses : public trainer::Seams {
 public:
  std::unique_ptr<device::Communicator> WrapCommunicator(trainer::GroupKind kind,
                                                         std::unique_ptr<device::Communicator> group,
                                                         const protocol::Plan&, const protocol::Coordinates&) override {
    if (kind != trainer::GroupKind::kForwardLink) return group;
    return std::make_unique<Overwritten>(std::move(group));
  }
};

}  // namespace

extern const Fault fault_pp_send_buffer_reused;
const Fault fault_pp_send_buffer_reused{
    .name = "pp.send_buffer_reused",
    .kind = "pipeline",
    .mechanism = "The next micro-batch's activations are written over those that have not left yet.",
    .met_in = "ms-swift#10204",
    .case_id = "pp.gpipe/pp=2,micro_batches=4,schedule=gpipe",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "written to again before it had left (micro-batch 1's in the place of micro-batch 0's",
    .make = Make<Reuses>};

}  // namespace lockstep::faults
