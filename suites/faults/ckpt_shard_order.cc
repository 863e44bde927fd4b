// ckpt.shard_order: Resharding pairs slices in the wrong order.
#include "suites/faults/fault.h"
#include "suites/faults/replace.h"

namespace lockstep::faults {
namespace {

// Reads each shard from the other end of its tensor.
class WrongOrder : public trainer::CheckpointFiles {
 public:
  using CheckpointFiles::CheckpointFiles;
  protocol::Tensor Load(const trainer::LocalParameter& parameter, const std::string& state) override {
    protocol::Slice slice = parameter.slice;
    for (std::size_t d = 0; d < slice.offset.size(); ++d) {
      slice.offset[d] = slice.global_shape[d] - slice.shape[d] - slice.offset[d];
    }
    return Read(state.empty() ? "param/" + parameter.name : "state/" + parameter.name + "/" + state, slice);
  }
};

class Reversed : public trainer::CheckpointStore {
 public:
  using CheckpointStore::CheckpointStore;
  std::unique_ptr<trainer::ParameterSource> Open() override {
    const protocol::CheckpointWanted& wanted = context_.request.checkpoint;
    return std::make_unique<WrongOrder>(context_.folder / wanted.resume_from, wanted.resume_step);
  }
};

}  // namespace

extern const Fault fault_ckpt_shard_order;
const Fault fault_ckpt_shard_order{.name = "ckpt.shard_order",
                                   .kind = "checkpoint",
                                   .mechanism = "Resharding pairs slices in the wrong order.",
                                   .met_in = "a fault of hand-written resharding",
                                   .case_id = "ckpt.tensor/tp=3",
                                   .check = "checkpoint_round_trip",
                                   .step = 2,
                                   .phase = "load",
                                   .tensor = "",
                                   .diagnosis = "between the run that saved and the run that loaded",
                                   .make = Make<ReplaceCheckpointStore<Reversed>>};

}  // namespace lockstep::faults
