// Where a suite can put something else in the place of a part of the trainer.
//
// The trainer makes each of its parts through one of these; the defaults are the parts themselves. The catalogue of
// faults (suites/faults) overrides one at a time, so that the trainer holds no wrong code behind a switch.
#pragma once

#include <memory>

#include "harness/protocol/request.h"
#include "reference/trainer/checkpoint.h"
#include "reference/trainer/clip.h"
#include "reference/trainer/gradient_reducer.h"
#include "reference/trainer/gradients.h"
#include "reference/trainer/groups.h"
#include "reference/trainer/loader.h"
#include "reference/trainer/loss_scale.h"
#include "reference/trainer/model/factory.h"
#include "reference/trainer/optimizer.h"
#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

class Seams {
 public:
  virtual ~Seams() = default;
  // After the request has been read and checked, before anything is built from it: workload, plan, schedule's lines.
  virtual void EditRequest(protocol::Request&, const protocol::Coordinates& at);
  // `at`: of this rank. The rank within the group is group->Rank().
  virtual std::unique_ptr<device::Communicator> WrapCommunicator(GroupKind kind,
                                                                 std::unique_ptr<device::Communicator> group,
                                                                 const protocol::Plan& plan,
                                                                 const protocol::Coordinates& at);
  virtual std::unique_ptr<DataLoader> MakeLoader(const RankContext& context);
  virtual std::unique_ptr<LossScale> MakeLossScale(const RankContext& context);
  virtual std::unique_ptr<LayerFactory> MakeLayerFactory(const RankContext& context, const DataLoader& loader);
  virtual std::unique_ptr<ParameterSource> MakeInitialParameters(const RankContext& context);
  virtual std::unique_ptr<WorkingCopies> MakeWorkingCopies(const RankContext& context);
  virtual std::unique_ptr<Accumulation> MakeAccumulation(const RankContext& context, ParameterStore& store,
                                                         GradientArena& arena);
  virtual std::unique_ptr<GradientReducer> MakeReducer(const RankContext& context, GradientArena& arena);
  virtual std::unique_ptr<Clipper> MakeClipper(const RankContext& context, ParameterStore& store);
  virtual std::unique_ptr<OptimizerStep> MakeOptimizer(const RankContext& context, ParameterStore& store);
  virtual std::unique_ptr<CheckpointStore> MakeCheckpointStore(const RankContext& context, ParameterStore& store);
};

}  // namespace lockstep::trainer
