// Small workloads for the oracle's tests: uneven valid targets, prime widths, several layers, non-zero biases.
#pragma once

#include "harness/inputs/make.h"
#include "harness/oracle/oracle.h"
#include "harness/protocol/workload.h"
#include "suites/unit/workloads.h"

namespace lockstep::oracle {

inline protocol::Workload SmallMlp(protocol::Activation activation, protocol::LossKind loss) {
  protocol::Workload workload = unit::UnevenWorkload(
      {.kind = protocol::ModelKind::kMlp, .sizes = {5, 7, 6, 3}, .activation = activation, .loss = loss}, 7);
  workload.seed = 11;
  return workload;
}

inline protocol::Workload SmallGpt(bool tied, double dropout) {
  protocol::Workload workload = unit::UnevenWorkload({.kind = protocol::ModelKind::kGpt,
                                                      .layers = 2,
                                                      .width = 6,
                                                      .heads = 2,
                                                      .mlp_width = 7,
                                                      .vocabulary = 11,
                                                      .sequence = 5,
                                                      .tied = tied,
                                                      .dropout = dropout},
                                                     3);
  workload.seed = 5;
  return workload;
}

inline Values InitialParameters(const protocol::Inputs& inputs) {
  Values parameters;
  for (const auto& [name, tensor] : inputs.parameters) parameters[name] = tensor.ToDoubles();
  return parameters;
}

}  // namespace lockstep::oracle
