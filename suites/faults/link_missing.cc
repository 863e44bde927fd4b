// link.missing: A result is never sent to the stage that needs it.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::StuckKind;

class LinkMissing : public Striking {
 public:
  using Striking::Striking;

 protected:
  device::WorkHandle Strike(std::int64_t, const float*, int) override {
    Tell(StuckKind::kLinkMissing, target().to, target().from, target());
    return std::make_shared<NoWork>();
  }
};

}  // namespace

extern const Fault fault_link_missing;
const Fault fault_link_missing{.name = "link.missing",
                               .kind = "link",
                               .mechanism = "A result is never sent to the stage that needs it.",
                               .met_in = "pytorch#120683",
                               .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
                               .found_by = "watcher",
                               .diagnosis = "link missing",
                               .make = Make<AtMessage<LinkMissing>>};

}  // namespace lockstep::faults
