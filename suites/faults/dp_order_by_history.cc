// dp.order_by_history: The order in which the replicas' gradients are added depends on what the process did before.
#include "suites/faults/fault.h"
#include "suites/faults/ring_reducer.h"

namespace lockstep::faults {
namespace {

class Turned : public RingReducer {
 public:
  Turned(const RankContext& context, trainer::GradientArena& arena, int earlier_runs)
      : RingReducer(context, arena), earlier_runs_(earlier_runs) {}

 protected:
  int Beginning() const override { return earlier_runs_; }

 private:
  int earlier_runs_;
};

// Each run of this process finds the ring one rank further.
class TurnsTheRing : public trainer::Seams {
 public:
  std::unique_ptr<trainer::GradientReducer> MakeReducer(const RankContext& context,
                                                        trainer::GradientArena& arena) override {
    return std::make_unique<Turned>(context, arena, runs_++);
  }

 private:
  int runs_ = 0;
};

}  // namespace

extern const Fault fault_dp_order_by_history;
const Fault fault_dp_order_by_history{
    .name = "dp.order_by_history",
    .kind = "data",
    .mechanism = "The order in which the replicas' gradients are added depends on what the process did before.",
    .met_in = "nccl#2360",
    .case_id = "dp.even/dp=4",
    .check = "rerun",
    .step = 1,
    .phase = "reduction",
    .tensor = "ln_f.bias",
    .diagnosis = "added in an order that is not the same in every run",
    .make = Make<TurnsTheRing>};

}  // namespace lockstep::faults
