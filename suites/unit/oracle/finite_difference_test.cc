// Every parameter's gradient against central differences of the loss.
#include <gtest/gtest.h>

#include <cmath>

#include "harness/inputs/generator.h"
#include "harness/protocol/parameters.h"
#include "suites/unit/oracle/small_workloads.h"

namespace lockstep::oracle {
namespace {

constexpr double kStep = 1e-5;       // the difference's own error: f''' h^2 / 6 and round-off / h, both near 1e-10
constexpr double kTolerance = 1e-8;  // absolute; the gradients compared are of 1e-3 to 1
constexpr int kElements = 5;         // a parameter

struct Case {
  std::string name;
  protocol::Workload workload;
};
void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class Gradients : public testing::TestWithParam<Case> {};

TEST_P(Gradients, MatchCentralDifferencesOnEveryParameter) {
  const protocol::Workload& workload = GetParam().workload;
  const protocol::Inputs inputs = inputs::Make(workload);
  Values parameters = InitialParameters(inputs);
  const std::int64_t step = 2;  // not 1: the step is part of a dropout mask's key
  const TraceStep analytic = LossAndGradients(workload, inputs, parameters, step);
  ASSERT_GT(analytic.loss, 0);
  inputs::Generator random(3, "finite differences");
  for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
    double largest = 0;
    for (const double g : analytic.gradients.at(parameter.name)) largest = std::max(largest, std::abs(g));
    EXPECT_GT(largest, 1e-4) << parameter.name << " has no gradient worth comparing";
    for (int i = 0; i < kElements; ++i) {
      const std::size_t element = static_cast<std::size_t>(random.Between(0, parameter.size() - 1));
      double& value = parameters.at(parameter.name)[element];
      const double at = value;
      value = at + kStep;
      const double above = LossAndGradients(workload, inputs, parameters, step).loss;
      value = at - kStep;
      const double below = LossAndGradients(workload, inputs, parameters, step).loss;
      value = at;
      EXPECT_NEAR(analytic.gradients.at(parameter.name)[element], (above - below) / (2 * kStep), kTolerance)
          << parameter.name << "[" << element << "]";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, Gradients,
    testing::Values(
        Case{"MlpReluSquaredError", SmallMlp(protocol::Activation::kRelu, protocol::LossKind::kSquaredError)},
        Case{"MlpReluCrossEntropy", SmallMlp(protocol::Activation::kRelu, protocol::LossKind::kCrossEntropy)},
        Case{"MlpGeluSquaredError", SmallMlp(protocol::Activation::kGelu, protocol::LossKind::kSquaredError)},
        Case{"MlpGeluCrossEntropy", SmallMlp(protocol::Activation::kGelu, protocol::LossKind::kCrossEntropy)},
        Case{"GptTied", SmallGpt(true, 0)}, Case{"GptUntied", SmallGpt(false, 0)},
        Case{"GptTiedDropout", SmallGpt(true, 0.3)}, Case{"GptUntiedDropout", SmallGpt(false, 0.3)}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace lockstep::oracle
