// Small workloads for the oracle's tests: uneven valid targets, prime widths, several layers, non-zero biases.
#pragma once

#include "harness/inputs/make.h"
#include "harness/oracle/oracle.h"
#include "harness/protocol/workload.h"

namespace lockstep::oracle {

inline protocol::Workload SmallMlp(protocol::Activation activation, protocol::LossKind loss) {
  protocol::Workload workload;
  workload.model.kind = protocol::ModelKind::kMlp;
  workload.model.sizes = {5, 7, 6, 3};
  workload.model.activation = activation;
  workload.model.loss = loss;
  workload.data.uneven = true;
  workload.global_batch = 7;
  workload.steps = 3;
  workload.seed = 11;
  return workload;
}

inline protocol::Workload SmallGpt(bool tied, double dropout) {
  protocol::Workload workload;
  workload.model.kind = protocol::ModelKind::kGpt;
  workload.model.layers = 2;
  workload.model.width = 6;
  workload.model.heads = 2;
  workload.model.mlp_width = 7;
  workload.model.vocabulary = 11;
  workload.model.sequence = 5;
  workload.model.tied = tied;
  workload.model.dropout = dropout;
  workload.data.uneven = true;
  workload.global_batch = 3;
  workload.steps = 3;
  workload.seed = 5;
  return workload;
}

inline Values InitialParameters(const protocol::Inputs& inputs) {
  Values parameters;
  for (const auto& [name, tensor] : inputs.parameters) parameters[name] = tensor.ToDoubles();
  return parameters;
}

}  // namespace lockstep::oracle
