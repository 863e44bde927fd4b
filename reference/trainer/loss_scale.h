// The denominator of the loss: the number of valid targets in the global batch, whatever the layout.
#pragma once

#include <cstdint>
#include <vector>

#include "reference/trainer/context.h"

namespace lockstep::trainer {

// Valid targets of a step.
struct StepCounts {
  std::vector<std::int64_t> micro_batches;  // of this replica
  std::int64_t replica = 0;
  std::int64_t global = 0;
};

class LossScale {
 public:
  explicit LossScale(const RankContext& context) : context_(context) {}
  virtual ~LossScale() = default;
  // N of the mean; collective over the replicas.
  virtual StepCounts Count(const std::vector<std::int64_t>& micro_batches);
  // Factor of a micro-batch's gradients: 1 / N; 0 when nothing is valid.
  virtual float OfGradients(const StepCounts& counts, std::int64_t micro_batch) const;
  // The global mean from this replica's sums of losses by micro-batch. `split`: over the tensor ranks too. Collective.
  virtual double OfLosses(const StepCounts& counts, const std::vector<double>& sums, bool split);

 protected:
  const RankContext& context_;
};

}  // namespace lockstep::trainer
