// A loss that is divided by another number than N, the valid targets of the global batch.
#pragma once

#include <vector>

#include "suites/faults/replace.h"

namespace lockstep::faults {

class Denominator : public trainer::LossScale {
 public:
  using LossScale::LossScale;
  float OfGradients(const trainer::StepCounts& counts, std::int64_t micro_batch) const final {
    return static_cast<float>(1.0 / InGradients(counts, static_cast<std::size_t>(micro_batch)));
  }
  double OfLosses(const trainer::StepCounts& counts, const std::vector<double>& sums, bool split) final {
    std::vector<double> scaled = sums;
    for (std::size_t m = 0; m < scaled.size(); ++m) {
      scaled[m] *= static_cast<double>(counts.global) / InLoss(counts, m);
    }
    return LossScale::OfLosses(counts, scaled, split);
  }

 protected:
  // What a micro-batch's sum of losses is divided by, where its gradients are taken and where its loss is told.
  virtual double InGradients(const trainer::StepCounts& counts, std::size_t micro_batch) const = 0;
  virtual double InLoss(const trainer::StepCounts& counts, std::size_t) const {
    return static_cast<double>(counts.global);
  }
};

}  // namespace lockstep::faults
