// link.wrong_size: A message is shorter than what its receiver expects.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::StuckKind;

class LinkWrongSize : public Striking {
 public:
  using Striking::Striking;

 protected:
  device::WorkHandle Strike(std::int64_t n, const float* x, int peer) override {
    Tell(StuckKind::kMismatch, target().to, target().from, target());
    return ForwardingCommunicator::Send(n / 2, x, peer, target().edge);
  }
};

}  // namespace

extern const Fault fault_link_wrong_size;
const Fault fault_link_wrong_size{.name = "link.wrong_size",
                                  .kind = "link",
                                  .mechanism = "A message is shorter than what its receiver expects.",
                                  .met_in = "InternLM#210",
                                  .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
                                  .found_by = "watcher",
                                  .diagnosis = "mismatch",
                                  .make = Make<AtMessage<LinkWrongSize>>};

}  // namespace lockstep::faults
