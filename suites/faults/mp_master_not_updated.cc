// mp.master_not_updated: The bf16 copies are not refreshed from the masters after the update.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class RefreshedOnce : public trainer::WorkingCopies {
 public:
  using WorkingCopies::WorkingCopies;
  void Refresh(trainer::ParameterStore& store) override {
    if (!done_) WorkingCopies::Refresh(store);
    done_ = true;
  }

 private:
  bool done_ = false;
};

}  // namespace

extern const Fault fault_mp_master_not_updated;
const Fault fault_mp_master_not_updated{
    .name = "mp.master_not_updated",
    .kind = "precision",
    .mechanism = "The bf16 copies are not refreshed from the masters after the update.",
    .met_in = "a fault of hand-written mixed precision",
    .case_id = "bf16.dp/dp=2",
    .check = "optimizer_replay",
    .step = 1,
    .phase = "optimizer",
    .tensor = "",
    .diagnosis = "the copy is stale",
    .make = Make<ReplaceWorkingCopies<RefreshedOnce>>};

}  // namespace lockstep::faults
