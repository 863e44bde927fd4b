// The oracle: fp64 training on one device in plain loops. It says what is right.
//
// It is written to be read against PROTOCOL.md, line by line: no vectorisation, no blocking, no dependency but
// protocol/. It knows nothing of plans: a step is one sum over the global batch, sample by sample. It is proved by
// central finite differences on every kind of parameter and by closed forms (suites/unit/oracle).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/inputs.h"
#include "harness/protocol/workload.h"

namespace lockstep::oracle {

using Values = std::map<std::string, std::vector<double>>;  // by parameter name, flat row-major; state: NAME/STATE

struct TraceStep {
  double loss = 0;           // mean over valid targets of the global batch
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
  std::int64_t valid_tokens = 0;
  Values gradients, clipped, parameters, state;  // parameters and state: after the update
};

struct Trace {
  std::vector<TraceStep> steps;  // [0]: the initial state; [s]: step s
};

// Loss and gradients of one step's global batch at given parameters. Throws BadInput for an own model.
TraceStep LossAndGradients(const protocol::Workload& workload, const protocol::Inputs& inputs, const Values& parameters,
                           std::int64_t step);

// Clips step.gradients into step.clipped and updates step.parameters and step.state from the previous step's.
void Update(const protocol::Workload& workload, const TraceStep& previous, std::int64_t number, TraceStep& step);

// All steps from the initial parameters.
Trace Train(const protocol::Workload& workload, const protocol::Inputs& inputs);

// The same through a cache folder: one safetensors file a trace, named by the SHA-256 of the canonical workload, the
// inputs and the oracle's own version. A cached file that can't be read is recomputed and written anew.
Trace TrainCached(const protocol::Workload& workload, const protocol::Inputs& inputs,
                  const std::filesystem::path& cache);

}  // namespace lockstep::oracle
