// Evidence as the checks ask for it: by parameter, by step, by replica. Reads only; judges nothing.
//
// What is missing throws BadInput (a failure of the check, see verdict.h), never a shorter answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/checks/check.h"
#include "harness/protocol/parameters.h"

namespace lockstep::checks {

// Parameters in canonical order; of an own model, those of the trace, with the shapes that the run states.
std::vector<protocol::Parameter> ParametersOf(const Input& input, const protocol::RunEvidence& run);

// Steps that the run trained: resume_step + 1 .. steps.
std::int64_t FirstStep(const protocol::RunEvidence& run);
std::int64_t LastStep(const protocol::RunEvidence& run);
// Steps among them with tensors (s mod every = 0).
std::vector<std::int64_t> TensorSteps(const protocol::RunEvidence& run);
// The same with the loaded state's step (0, or resume_step) before them.
std::vector<std::int64_t> TensorStepsWithLoaded(const protocol::RunEvidence& run);

// kind "grad", "clipped", "param", "working": one flat global tensor for each parameter. Throws BadInput for a hole.
oracle::Values GatherKind(const protocol::RunEvidence& run, std::int64_t step, const std::string& kind,
                          const std::vector<protocol::Parameter>& parameters);
// state/NAME/STATE by NAME/STATE. At step 0, states that nobody wrote are the zeros that they start from.
oracle::Values GatherState(const protocol::RunEvidence& run, std::int64_t step, protocol::OptimizerKind kind,
                           const std::vector<protocol::Parameter>& parameters);

// The one step event of a rank; BadInput when there is none or more than one.
const protocol::StepEvent& StepEventOf(const protocol::RunEvidence& run, std::int64_t rank, std::int64_t step);

// "grad/wte.weight": kind "grad", parameter "wte.weight", state "". "state/wte.weight/momentum": state "momentum".
struct TensorName {
  std::string kind, parameter, state;
};
TensorName ParseTensorName(const std::string& name);
// The phase in which a tensor of this kind comes to be: load (step `loaded`), reduction, clip, optimizer.
std::string PhaseOf(const std::string& tensor, std::int64_t step, std::int64_t loaded_step);

// All tensor names of a step in the order in which a step makes them: by phase; then gradients in backward order (the
// reverse of the canonical one), the others in canonical order. The first that differs is the first divergence.
std::vector<std::string> OrderedTensorNames(const protocol::RunEvidence& run, std::int64_t step,
                                            const std::vector<protocol::Parameter>& parameters);

}  // namespace lockstep::checks
