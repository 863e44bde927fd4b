// The update of this rank's parameters from their clipped gradients (PROTOCOL.md, "Optimizers").
#pragma once

#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

class OptimizerStep {
 public:
  OptimizerStep(const RankContext& context, ParameterStore& store) : context_(context), store_(store) {}
  virtual ~OptimizerStep() = default;
  virtual double LearningRate(std::int64_t step) const;
  virtual void Apply(std::int64_t step);

 protected:
  virtual void Update(std::int64_t step, LocalParameter& parameter, const float* gradient);

  const RankContext& context_;
  ParameterStore& store_;
};

}  // namespace lockstep::trainer
