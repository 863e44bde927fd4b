// Forward and backward of one sample: the sum of its targets' losses, and that sum's gradients.
//
// The division by the number of valid targets of the global batch is the step's business (step.cc), so that a sample's
// share does not depend on what else is in its batch.
#pragma once

#include <cstdint>

#include "harness/oracle/oracle.h"
#include "harness/oracle/samples.h"

namespace lockstep::oracle {

// Both return the sum of l over the sample's valid targets and add its gradients to `gradients`.
double MlpSample(const protocol::Model& model, const Values& parameters, const FeatureSample& sample,
                 Values& gradients);

// What a dropout mask is a function of, beside site, position and feature.
struct DropoutKey {
  std::uint64_t seed = 0, step = 0, sample = 0;
};
double GptSample(const protocol::Model& model, const Values& parameters, const TokenSample& sample,
                 const DropoutKey& key, Values& gradients);

}  // namespace lockstep::oracle
