// Seams with one part replaced: ReplaceLoader<WrongLoader> is the trainer with WrongLoader for its loader.
// The wrong part derives from the right one and has its constructor.
#pragma once

#include <memory>
#include <utility>

#include "reference/trainer/seams.h"

namespace lockstep::faults {

using trainer::RankContext;

template <typename Part>
class ReplaceLoader : public trainer::Seams {
 public:
  std::unique_ptr<trainer::DataLoader> MakeLoader(const RankContext& context) override {
    return std::make_unique<Part>(context);
  }
};

template <typename Part>
class ReplaceLossScale : public trainer::Seams {
 public:
  std::unique_ptr<trainer::LossScale> MakeLossScale(const RankContext& context) override {
    return std::make_unique<Part>(context);
  }
};

template <typename Part>
class ReplaceLayers : public trainer::Seams {
 public:
  std::unique_ptr<trainer::LayerFactory> MakeLayerFactory(const RankContext& context,
                                                          const trainer::DataLoader& loader) override {
    return std::make_unique<Part>(context, loader);
  }
};

template <typename Part>
class ReplaceInitialParameters : public trainer::Seams {
 public:
  std::unique_ptr<trainer::ParameterSource> MakeInitialParameters(const RankContext& context) override {
    return std::make_unique<Part>(context);
  }
};

template <typename Part>
class ReplaceWorkingCopies : public trainer::Seams {
 public:
  std::unique_ptr<trainer::WorkingCopies> MakeWorkingCopies(const RankContext& context) override {
    return std::make_unique<Part>(context);
  }
};

template <typename Part>
class ReplaceAccumulation : public trainer::Seams {
 public:
  std::unique_ptr<trainer::Accumulation> MakeAccumulation(const RankContext& context, trainer::ParameterStore& store,
                                                          trainer::GradientArena& arena) override {
    return std::make_unique<Part>(context, store, arena);
  }
};

template <typename Part>
class ReplaceReducer : public trainer::Seams {
 public:
  std::unique_ptr<trainer::GradientReducer> MakeReducer(const RankContext& context,
                                                        trainer::GradientArena& arena) override {
    return std::make_unique<Part>(context, arena);
  }
};

template <typename Part>
class ReplaceClipper : public trainer::Seams {
 public:
  std::unique_ptr<trainer::Clipper> MakeClipper(const RankContext& context, trainer::ParameterStore& store) override {
    return std::make_unique<Part>(context, store);
  }
};

template <typename Part>
class ReplaceOptimizer : public trainer::Seams {
 public:
  std::unique_ptr<trainer::OptimizerStep> MakeOptimizer(const RankContext& context,
                                                        trainer::ParameterStore& store) override {
    return std::make_unique<Part>(context, store);
  }
};

template <typename Part>
class ReplaceCheckpointStore : public trainer::Seams {
 public:
  std::unique_ptr<trainer::CheckpointStore> MakeCheckpointStore(const RankContext& context,
                                                                trainer::ParameterStore& store) override {
    return std::make_unique<Part>(context, store);
  }
};

// Every group of one kind: Wrong derives from ForwardingCommunicator and takes the right group.
template <trainer::GroupKind kKind, typename Wrong>
class ReplaceGroup : public trainer::Seams {
 public:
  std::unique_ptr<device::Communicator> WrapCommunicator(trainer::GroupKind kind,
                                                         std::unique_ptr<device::Communicator> group,
                                                         const protocol::Plan&, const protocol::Coordinates&) override {
    if (kind != kKind) return group;
    return std::make_unique<Wrong>(std::move(group));
  }
};

// For Fault::make.
template <typename Seams>
std::unique_ptr<trainer::Seams> Make() {
  return std::make_unique<Seams>();
}

}  // namespace lockstep::faults
