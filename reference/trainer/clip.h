// The global gradient norm, and clipping by it.
//
// Each canonical parameter's sum of squares has an entry of its own; shards are summed over the tensor ranks, a tied or
// replicated parameter counts once, and the entries are added in canonical order: a pipeline's norm is the single
// rank's to the last bit, and every rank has the same.
#pragma once

#include "reference/trainer/parameters.h"

namespace lockstep::trainer {

class Clipper {
 public:
  Clipper(const RankContext& context, ParameterStore& store) : context_(context), store_(store) {}
  virtual ~Clipper() = default;
  // Of the reduced gradients; collective over tensor and pipeline ranks.
  virtual double Norm();
  // g *= clip_norm / (norm + 1e-6) where that is below 1; nothing when clip_norm is 0.
  virtual void Apply(double norm);

 protected:
  const RankContext& context_;
  ParameterStore& store_;
};

}  // namespace lockstep::trainer
