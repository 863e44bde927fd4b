// rank.stopped: A rank is stopped in the middle of a step, and its process stays.
#include <csignal>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::StuckKind;

class RankStopped : public Striking {
 public:
  using Striking::Striking;

 protected:
  device::WorkHandle Strike(std::int64_t n, const float* x, int peer) override {
    Tell(StuckKind::kPeerStopped, target().from, target().to, target());
    std::raise(SIGSTOP);
    return ForwardingCommunicator::Send(n, x, peer, target().edge);
  }
};

}  // namespace

extern const Fault fault_rank_stopped;
const Fault fault_rank_stopped{.name = "rank.stopped",
                               .kind = "rank",
                               .mechanism = "A rank is stopped in the middle of a step, and its process stays.",
                               .met_in = "NCCL flight recorder",
                               .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
                               .found_by = "watcher",
                               .diagnosis = "is stopped (state T)",
                               .make = Make<AtMessage<RankStopped>>};

}  // namespace lockstep::faults
