// link.crossed: A result is sent to another rank than the one that needs it.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::StuckKind;

class LinkCrossed : public Striking {
 public:
  using Striking::Striking;
  static bool Fits(const Target& target) { return !target.unlinked.empty(); }

 protected:
  device::WorkHandle Strike(std::int64_t n, const float* x, int) override {
    Tell(StuckKind::kLinkCrossed, target().to, target().from, target());
    const int wrong = target().unlinked[Draw(FaultSeed() + 1).Below(target().unlinked.size())];
    return ForwardingCommunicator::Send(n, x, wrong, target().edge);
  }
};

}  // namespace

extern const Fault fault_link_crossed;
const Fault fault_link_crossed{.name = "link.crossed",
                               .kind = "link",
                               .mechanism = "A result is sent to another rank than the one that needs it.",
                               .met_in = "Megatron-LM#5271",
                               .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
                               .found_by = "watcher",
                               .diagnosis = "link crossed",
                               .make = Make<AtMessage<LinkCrossed>>};

}  // namespace lockstep::faults
