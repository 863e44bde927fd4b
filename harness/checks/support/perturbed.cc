#include "harness/checks/support/perturbed.h"

#include <random>

namespace lockstep::checks {

std::vector<oracle::TraceStep> PerturbedSteps(const protocol::Workload& workload, const protocol::Inputs& inputs,
                                              const oracle::TraceStep& previous, std::int64_t number, double roundoff,
                                              bool update) {
  std::mt19937_64 random(1);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-52 - 1; };  // [-1, 1)
  std::vector<oracle::TraceStep> steps;
  for (int k = 0; k < kPerturbedRuns; ++k) {
    oracle::Values parameters = previous.parameters;
    for (auto& [name, values] : parameters) {
      for (double& p : values) p *= 1 + roundoff * uniform();
    }
    oracle::TraceStep step = oracle::LossAndGradients(workload, inputs, parameters, number);
    if (update) oracle::Update(workload, previous, number, step);
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace lockstep::checks
