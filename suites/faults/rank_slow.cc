// rank.slow: A rank takes seconds over one micro-batch, and goes on.
#include <chrono>
#include <thread>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"
#include "suites/faults/support/planted.h"

namespace lockstep::faults {
namespace {

using protocol::StuckKind;

constexpr std::chrono::milliseconds kPause(3500);

class RankSlow : public Striking {
 public:
  using Striking::Striking;

 protected:
  device::WorkHandle Strike(std::int64_t n, const float* x, int peer) override {
    Tell(StuckKind::kPeerSlow, target().from, target().to, target());
    std::this_thread::sleep_for(kPause);
    return ForwardingCommunicator::Send(n, x, peer, target().edge);
  }
};

}  // namespace

extern const Fault fault_rank_slow;
const Fault fault_rank_slow{.name = "rank.slow",
                            .kind = "rank",
                            .mechanism = "A rank takes seconds over one micro-batch, and goes on.",
                            .met_in = "pytorch#46874",
                            .case_id = "pp.tied_weights/pp=3,micro_batches=4,schedule=gpipe",
                            .found_by = "watcher",
                            .diagnosis = "is slow, not stuck",
                            .make = Make<AtMessage<RankSlow>>};

}  // namespace lockstep::faults
