// pp.link_crossed: The activations of the first two micro-batches are swapped between two stages.
#include <utility>

#include "suites/faults/fault.h"
#include "suites/faults/forwarding_communicator.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// Work that is known later: the first message waits for the second one's buffer.
class Later : public device::Work {
 public:
  void Wait() override {
    if (work) work->Wait();
  }
  bool Done() override { return work && work->Done(); }
  device::WorkHandle work;
};

// Sends the second micro-batch's activations under the first one's name, and the other way round.
class Crossed : public ForwardingCommunicator {
 public:
  using ForwardingCommunicator::ForwardingCommunicator;
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    if (edge.micro_batch > 1) return ForwardingCommunicator::Send(n, x, peer, edge);
    if (edge.micro_batch == 0) {
      first_ = {n, x, edge, std::make_shared<Later>()};
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
    std::shared_ptr<Later> later;
  };
  Held first_;
};

class Wiring : public trainer::Seams {
 public:
  std::unique_ptr<device::Communicator> WrapCommunicator(trainer::GroupKind kind,
                                                         std::unique_ptr<device::Communicator> group,
                                                         const protocol::Plan&, const protocol::Coordinates&) override {
    if (kind != trainer::GroupKind::kForwardLink) return group;
    return std::make_unique<Crossed>(std::move(group));
  }
};

}  // namespace

extern const Fault fault_pp_link_crossed;
const Fault fault_pp_link_crossed{
    .name = "pp.link_crossed",
    .kind = "pipeline",
    .mechanism = "The activations of the first two micro-batches are swapped between two stages.",
    .met_in = "pytorch#172668",
    .case_id = "pp.gpipe/pp=2,micro_batches=4,schedule=gpipe",
    .check = "noise_ratio",
    .step = 1,
    .phase = "forward",
    .tensor = "",
    .diagnosis = "changed places",
    .make = Make<Wiring>};

}  // namespace lockstep::faults
