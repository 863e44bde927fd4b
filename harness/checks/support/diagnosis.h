// From figures to words: what a factor is called, and what the set of wrong tensors says by itself.
//
// Causes that can be computed are in hypotheses.h; here is what is left to say when none fits, and the first half of
// every sentence: how far, by which factor, which tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/protocol/parameters.h"
#include "harness/protocol/plan.h"

namespace lockstep::checks {

// What is known of a step when a factor is to be named.
struct StepCounts {
  std::int64_t batch = 0, valid = 0;  // samples and valid targets of the global batch
  std::vector<std::int64_t> valid_of_replica;
};

// "gradients x 8.000 = data-parallel degree: summed, not averaged"; "" when rho says that it is no factor, and just
// "gradients x 1.234" when the factor has no name.
std::string ScaleWords(const std::string& what, double alpha, double rho, double typical_noise,
                       const protocol::Plan& plan, const StepCounts& counts);

// The wrong tensors in words, with what their set says: replicated over tensor ranks, on one stage, above one layer.
std::string SetWords(const std::vector<std::string>& wrong, const std::vector<protocol::Parameter>& parameters,
                     const protocol::Workload& workload, const protocol::Plan& plan, bool loss_is_right);

// The pipeline stage on which a parameter of a gpt or an mlp stands; -1 for a tied one, which stands on two.
std::int64_t StageOf(const std::string& parameter, const protocol::Model& model, const protocol::Plan& plan);

// Of some parameters the first in backward order (the reverse of the canonical one; a tied embedding, whose gradient is
// complete last, stands last by itself). A wrong gradient flows on to every tensor after it, so this one is the cause.
std::string FirstInBackwardOrder(const std::vector<std::string>& wrong,
                                 const std::vector<protocol::Parameter>& parameters);

}  // namespace lockstep::checks
