// ckpt.optimizer_state_dropped: The optimizer's state is not loaded: moments restart from zero.
#include <utility>

#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

class WithoutState : public trainer::ParameterSource {
 public:
  explicit WithoutState(std::unique_ptr<trainer::ParameterSource> inner) : inner_(std::move(inner)) {}
  protocol::Tensor Load(const trainer::LocalParameter& parameter, const std::string& state) override {
    if (state.empty()) return inner_->Load(parameter, state);
    return protocol::Tensor::Zeros(protocol::DType::kF32, parameter.slice.shape);
  }

 private:
  std::unique_ptr<trainer::ParameterSource> inner_;
};

class DropsState : public trainer::CheckpointStore {
 public:
  using CheckpointStore::CheckpointStore;
  std::unique_ptr<trainer::ParameterSource> Open() override {
    return std::make_unique<WithoutState>(CheckpointStore::Open());
  }
};

}  // namespace

extern const Fault fault_ckpt_optimizer_state_dropped;
const Fault fault_ckpt_optimizer_state_dropped{
    .name = "ckpt.optimizer_state_dropped",
    .kind = "checkpoint",
    .mechanism = "The optimizer's state is not loaded: moments restart from zero.",
    .met_in = "AReaL#1468",
    .case_id = "ckpt.whole/dp=2",
    .check = "checkpoint_round_trip",
    .step = 2,
    .phase = "load",
    .tensor = "",
    .diagnosis = "state was dropped",
    .make = Make<ReplaceCheckpointStore<DropsState>>};

}  // namespace lockstep::faults
