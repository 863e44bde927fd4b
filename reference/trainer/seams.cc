#include "reference/trainer/seams.h"

namespace lockstep::trainer {

void Seams::EditRequest(protocol::Request&, const protocol::Coordinates&) {}

std::unique_ptr<device::Communicator> Seams::WrapCommunicator(GroupKind, std::unique_ptr<device::Communicator> group,
                                                              const protocol::Plan&, const protocol::Coordinates&) {
  return group;
}

std::unique_ptr<DataLoader> Seams::MakeLoader(const RankContext& context) {
  return std::make_unique<DataLoader>(context);
}

std::unique_ptr<LossScale> Seams::MakeLossScale(const RankContext& context) {
  return std::make_unique<LossScale>(context);
}

std::unique_ptr<LayerFactory> Seams::MakeLayerFactory(const RankContext& context, const DataLoader& loader) {
  return std::make_unique<LayerFactory>(context, loader);
}

std::unique_ptr<ParameterSource> Seams::MakeInitialParameters(const RankContext& context) {
  return std::make_unique<InitialParameters>(context);
}

std::unique_ptr<WorkingCopies> Seams::MakeWorkingCopies(const RankContext& context) {
  return std::make_unique<WorkingCopies>(context);
}

std::unique_ptr<Accumulation> Seams::MakeAccumulation(const RankContext& context, ParameterStore& store,
                                                      GradientArena& arena) {
  return std::make_unique<Accumulation>(context, store, arena);
}

std::unique_ptr<GradientReducer> Seams::MakeReducer(const RankContext& context, GradientArena& arena) {
  return std::make_unique<GradientReducer>(context, arena);
}

std::unique_ptr<Clipper> Seams::MakeClipper(const RankContext& context, ParameterStore& store) {
  return std::make_unique<Clipper>(context, store);
}

std::unique_ptr<OptimizerStep> Seams::MakeOptimizer(const RankContext& context, ParameterStore& store) {
  return std::make_unique<OptimizerStep>(context, store);
}

std::unique_ptr<CheckpointStore> Seams::MakeCheckpointStore(const RankContext& context, ParameterStore& store) {
  return std::make_unique<CheckpointStore>(context, store);
}

}  // namespace lockstep::trainer
