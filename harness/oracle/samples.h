// One sample of a data set, whatever the form it is stored in (PROTOCOL.md, "data.safetensors").
#pragma once

#include <cstdint>
#include <vector>

#include "harness/protocol/inputs.h"

namespace lockstep::oracle {

// gpt: T tokens, and T targets of which -1 does not count.
struct TokenSample {
  std::vector<std::int32_t> inputs, targets;
  std::int64_t valid() const;
};

// mlp: features, and either values (squared error) or a class (cross-entropy).
struct FeatureSample {
  std::vector<double> features, target_values;
  std::int32_t target_class = -1;
  bool valid = false;
};

TokenSample TokensOf(const protocol::Inputs& inputs, std::int64_t sequence, std::int64_t id);
FeatureSample FeaturesOf(const protocol::Inputs& inputs, protocol::LossKind loss, std::int64_t id);

}  // namespace lockstep::oracle
