// rank.dead: A rank ends in the middle of a step: by a signal, with an error, or as if all were well.
#include <csignal>
#include <cstdlib>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::StuckKind;

class RankDead : public Striking {
 public:
  using Striking::Striking;

 protected:
  device::WorkHandle Strike(std::int64_t, const float*, int) override {
    Tell(StuckKind::kPeerDead, target().from, target().to, target());
    switch (Draw(FaultSeed() + 1).Below(3)) {
      case 0:
        std::raise(SIGKILL);
        break;
      case 1:
        std::_Exit(3);
      default:
        std::_Exit(0);
    }
    return std::make_shared<NoWork>();
  }
};

}  // namespace

extern const Fault fault_rank_dead;
const Fault fault_rank_dead{
    .name = "rank.dead",
    .kind = "rank",
    .mechanism = "A rank ends in the middle of a step: by a signal, with an error, or as if all were well.",
    .met_in = "pytorch#46874",
    .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
    .found_by = "watcher",
    .diagnosis = "peer dead",
    .make = Make<AtMessage<RankDead>>};

}  // namespace lockstep::faults
