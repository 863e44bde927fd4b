// link.out_of_order: Two messages of a link are sent in each other's place in the order.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::StuckKind;

class LinkOutOfOrder : public Striking {
 public:
  using Striking::Striking;
  static bool Fits(const Target& target) { return target.next.has_value(); }
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    auto work = Striking::Send(n, x, peer, edge);
    if (held_ && edge == *target().next) {
      held_->work = ForwardingCommunicator::Send(n_, x_, peer, target().edge);
      held_.reset();
    }
    return work;
  }

 protected:
  device::WorkHandle Strike(std::int64_t n, const float* x, int) override {
    Tell(StuckKind::kOutOfOrder, target().to, target().from, target());
    held_ = std::make_shared<LaterWork>();
    n_ = n;
    x_ = x;
    return held_;
  }

 private:
  std::shared_ptr<LaterWork> held_;
  std::int64_t n_ = 0;
  const float* x_ = nullptr;
};

}  // namespace

extern const Fault fault_link_out_of_order;
const Fault fault_link_out_of_order{.name = "link.out_of_order",
                                    .kind = "link",
                                    .mechanism = "Two messages of a link are sent in each other's place in the order.",
                                    .met_in = "Megatron-LM#1451",
                                    .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
                                    .found_by = "watcher",
                                    .diagnosis = "out of order",
                                    .make = Make<AtMessage<LinkOutOfOrder>>};

}  // namespace lockstep::faults
