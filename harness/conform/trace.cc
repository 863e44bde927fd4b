#include "harness/conform/trace.h"

#include "harness/protocol/bad_input.h"

namespace lockstep::conform {
namespace {

// "grad/NAME" -> gradients[NAME]; nullptr for tensors that a trace doesn't hold.
oracle::Values* Place(const std::string& tensor, oracle::TraceStep* step, std::string* name) {
  const std::size_t slash = tensor.find('/');
  const std::string kind = tensor.substr(0, slash);
  *name = slash == std::string::npos ? "" : tensor.substr(slash + 1);
  if (kind == "grad") return &step->gradients;
  if (kind == "clipped") return &step->clipped;
  if (kind == "param") return &step->parameters;
  if (kind == "state") return &step->state;
  return nullptr;
}

}  // namespace

oracle::Trace TraceOf(const protocol::RunEvidence& reference) {
  const std::int64_t steps = reference.request().workload.steps;
  oracle::Trace trace;
  trace.steps.resize(static_cast<std::size_t>(steps + 1));
  for (std::int64_t s = 0; s <= steps; ++s) {
    oracle::TraceStep& step = trace.steps[static_cast<std::size_t>(s)];
    for (const std::string& tensor : reference.TensorNames(s)) {
      std::string name;
      oracle::Values* values = Place(tensor, &step, &name);
      if (values == nullptr) continue;
      (*values)[name] = reference.Gather(s, tensor, reference.SliceOf(0, s, tensor).global_shape);
    }
  }
  for (const protocol::StepEvent& event : reference.ranks().at(0).steps) {
    if (event.step < 1 || event.step > steps) continue;
    oracle::TraceStep& step = trace.steps[static_cast<std::size_t>(event.step)];
    step.loss = reference.Loss(event.step);
    step.gradient_norm = event.gradient_norm.value_or(0);
    step.learning_rate = event.learning_rate.value_or(0);
    step.valid_tokens = event.valid_tokens;
  }
  return trace;
}

}  // namespace lockstep::conform
