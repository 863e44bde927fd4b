// acc.zero_grad_misplaced: Gradients are cleared before every micro-batch: only the last one survives.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class ClearsEveryTime : public trainer::Accumulation {
 public:
  using Accumulation::Accumulation;
  void BeginBackward(const trainer::MicroBatch&) override { arena_.Reset(); }
};

}  // namespace

extern const Fault fault_acc_zero_grad_misplaced;
const Fault fault_acc_zero_grad_misplaced{
    .name = "acc.zero_grad_misplaced",
    .kind = "accumulation",
    .mechanism = "Gradients are cleared before every micro-batch: only the last one survives.",
    .met_in = "torchtitan#3575",
    .case_id = "acc.uneven_tokens/micro_batches=3",
    .check = "noise_ratio",
    .step = 1,
    .phase = "backward",
    .tensor = "",
    .diagnosis = "last micro-batch",
    .make = Make<ReplaceAccumulation<ClearsEveryTime>>};

}  // namespace lockstep::faults
