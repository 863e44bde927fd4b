// The global gradient norm, which the step reports and the clipping uses.
#pragma once

#include "harness/oracle/oracle.h"

namespace lockstep::oracle {

// sqrt(sum over all parameters of g^2), in canonical order of the parameters.
double GlobalNorm(const protocol::Model& model, const Values& gradients);

// Every state tensor of the optimizer at 0, by NAME/STATE.
Values InitialState(const protocol::Workload& workload);

}  // namespace lockstep::oracle
