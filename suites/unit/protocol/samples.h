// Small valid objects of the protocol: what the unit tests change to see it refused, and what the fuzzers start from.
#pragma once

#include "harness/protocol/evidence.h"
#include "harness/protocol/inputs.h"
#include "harness/protocol/parameters.h"
#include "harness/protocol/request.h"
#include "harness/protocol/timeline.h"

namespace lockstep::protocol {

// A gpt under dp=2, pp=2 with all evidence asked for, schedule 1f1b.
inline Request SmallRequest() {
  Request request;
  request.id = "small/dp=2,pp=2";
  Model& model = request.workload.model;
  model.kind = ModelKind::kGpt;
  model.loss = LossKind::kCrossEntropy;
  model.layers = 2;
  model.width = 4;
  model.heads = 2;
  model.mlp_width = 8;
  model.vocabulary = 7;
  model.sequence = 3;
  request.workload.global_batch = 5;
  request.workload.steps = 2;
  request.plan.data = 2;
  request.plan.pipeline = 2;
  request.plan.micro_batches = 2;
  request.schedule = {"1f1b", 2, 2, {ParseActions("0F0,0F1,0B0,0B1", "test"), ParseActions("1F0,1B0,1F1,1B1", "test")}};
  return request;
}

inline Inputs SmallInputs(const Workload& workload) {
  Inputs inputs;
  for (const Parameter& parameter : Parameters(workload.model)) {
    inputs.parameters[parameter.name] = Tensor::Zeros(DType::kF64, parameter.shape);
  }
  const std::int64_t samples = workload.global_batch * workload.steps;
  std::vector<std::int64_t> order(static_cast<std::size_t>(samples));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  inputs.data["order"] = Tensor::FromInt64({workload.steps, workload.global_batch}, order);
  inputs.data["inputs"] = Tensor::Zeros(DType::kI32, {samples, workload.model.sequence});
  inputs.data["targets"] = Tensor::Zeros(DType::kI32, {samples, workload.model.sequence});
  return inputs;
}

// What one rank of SmallRequest() says it is.
inline Hello SmallHello(const Request& request, std::int64_t rank) {
  Hello hello;
  hello.rank = rank;
  hello.world_size = request.plan.WorldSize();
  hello.pid = 4711;
  hello.host = "node";
  hello.device_kind = "host";
  hello.device_name = "processor";
  hello.trainer = "test";
  hello.version = "1";
  hello.libraries = {{"mpi", "4.1"}};
  hello.effective = {request.plan, request.plan.At(rank), Precision::kF32, OptimizerKind::kSgd, 0.0, {0, 1, 2, 3}};
  return hello;
}

// One event of each kind.
inline Timeline SmallTimeline() {
  Timeline timeline;
  timeline.clock = {1, 0.25, 1e-6, 1767225600.125, 1, 1, {{"data", {1, 3}}, {"pipeline", {0, 1}}}};
  timeline.steps = {{1, {0.1, 0.2}}};
  timeline.ops = {{1, 4, {1, ActionKind::kForward, 2}, 0.11, 0.112, 0.113, 0.12, 81920, 40960}};
  timeline.messages = {{1, false, false, 0, 0, 1, 2, 4096, 0.105, 0.112, Interval{0.11, 0.112}},
                       {1, true, true, 0, 1, 0, 2, 4096, 0.13, 0.14, std::nullopt}};
  timeline.collectives = {{1, "data", 7, "all_reduce", 65536, 0.15, 0.16, Interval{0.155, 0.16}}};
  timeline.spans = {{1, "optimizer", {0.17, 0.178}}};
  return timeline;
}

}  // namespace lockstep::protocol
