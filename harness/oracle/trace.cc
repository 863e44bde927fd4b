// Training from the initial parameters, step by step.
#include "harness/oracle/optimizer.h"
#include "harness/oracle/oracle.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/parameters.h"

namespace lockstep::oracle {

Trace Train(const protocol::Workload& workload, const protocol::Inputs& inputs) {
  Trace trace;
  TraceStep initial;
  for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
    const auto found = inputs.parameters.find(parameter.name);
    if (found == inputs.parameters.end()) throw protocol::BadInput("parameters: " + parameter.name, "missing");
    initial.parameters[parameter.name] = found->second.ToDoubles();
  }
  initial.state = InitialState(workload);
  trace.steps.push_back(std::move(initial));
  for (std::int64_t s = 1; s <= workload.steps; ++s) {
    const TraceStep& previous = trace.steps.back();
    TraceStep step = LossAndGradients(workload, inputs, previous.parameters, s);
    Update(workload, previous, s, step);
    trace.steps.push_back(std::move(step));
  }
  return trace;
}

}  // namespace lockstep::oracle
