// Losses, gradients and layers against values worked by hand, and against what must hold whatever the numbers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/oracle/attention.h"
#include "harness/oracle/layers.h"
#include "harness/oracle/losses.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/dropout.h"
#include "suites/unit/oracle/small_workloads.h"

namespace lockstep::oracle {
namespace {

using protocol::Tensor;

void Zero(Values& values) {
  for (auto& [name, numbers] : values) std::fill(numbers.begin(), numbers.end(), 0.0);
}

TEST(Loss, OfUniformLogitsIsTheLogarithmOfTheVocabulary) {
  const protocol::Workload workload = SmallGpt(true, 0);
  const protocol::Inputs inputs = inputs::Make(workload);
  Values parameters = InitialParameters(inputs);
  Zero(parameters);
  EXPECT_NEAR(LossAndGradients(workload, inputs, parameters, 1).loss, std::log(11.0), 1e-14);
}

TEST(Loss, OfUniformMlpLogitsIsTheLogarithmOfTheClasses) {
  const protocol::Workload workload = SmallMlp(protocol::Activation::kGelu, protocol::LossKind::kCrossEntropy);
  const protocol::Inputs inputs = inputs::Make(workload);
  Values parameters = InitialParameters(inputs);
  Zero(parameters);
  EXPECT_NEAR(LossAndGradients(workload, inputs, parameters, 1).loss, std::log(3.0), 1e-14);
}

TEST(Loss, OfLargeLogitsDoesNotOverflow) {
  Matrix z(1, 2), dz(1, 2);
  z.values = {2000, 1000};
  EXPECT_EQ(CrossEntropy(z, 0, 1, dz), 1000);
  EXPECT_EQ(dz.values, (std::vector<double>{1, -1}));
}

// One linear layer, two samples that count of three: y = W x + b.
struct OneLayer {
  protocol::Workload workload;
  protocol::Inputs inputs;
  OneLayer() {
    workload.model.sizes = {2, 1};
    workload.global_batch = 3;
    const std::vector<double> weight = {2, -1}, bias = {0.5}, features = {1, 2, 100, 100, 3, -1}, targets = {1, 100, 5};
    inputs.parameters["layers.0.weight"] = Tensor::FromDoubles(protocol::DType::kF64, {1, 2}, weight);
    inputs.parameters["layers.0.bias"] = Tensor::FromDoubles(protocol::DType::kF64, {1}, bias);
    inputs.data["inputs"] = Tensor::FromDoubles(protocol::DType::kF64, {3, 2}, features);
    inputs.data["targets"] = Tensor::FromDoubles(protocol::DType::kF64, {3, 1}, targets);
    inputs.data["order"] = Tensor::FromInt64({1, 3}, std::vector<std::int64_t>{2, 1, 0});
    inputs.data["valid"] = Tensor::Zeros(protocol::DType::kU8, {3});
    inputs.data["valid"].As<std::uint8_t>()[0] = 1;
    inputs.data["valid"].As<std::uint8_t>()[2] = 1;
  }
};

// y = 2 - 2 + 0.5 = 0.5 and 6 + 1 + 0.5 = 7.5; errors -0.5 and 2.5; N = 2.
TEST(Loss, OfOneLinearLayerIsTheHandWorkedMean) {
  const OneLayer one;
  const TraceStep step = LossAndGradients(one.workload, one.inputs, InitialParameters(one.inputs), 1);
  EXPECT_EQ(step.valid_tokens, 2);
  EXPECT_EQ(step.loss, (0.5 * 0.25 + 0.5 * 6.25) / 2);
  EXPECT_EQ(step.gradients.at("layers.0.weight"), (std::vector<double>{(-0.5 + 7.5) / 2, (-1.0 - 2.5) / 2}));
  EXPECT_EQ(step.gradients.at("layers.0.bias"), (std::vector<double>{1.0}));
  EXPECT_EQ(step.gradient_norm, std::sqrt(3.5 * 3.5 + 1.75 * 1.75 + 1));
}

TEST(Loss, AndGradientsAreZeroWhenNothingCounts) {
  OneLayer one;
  std::ranges::fill(one.inputs.data["valid"].As<std::uint8_t>(), std::uint8_t{0});
  const TraceStep mlp = LossAndGradients(one.workload, one.inputs, InitialParameters(one.inputs), 1);
  EXPECT_EQ(mlp.valid_tokens, 0);
  EXPECT_EQ(mlp.loss, 0);
  EXPECT_EQ(mlp.gradients.at("layers.0.weight"), (std::vector<double>{0, 0}));

  const protocol::Workload workload = SmallGpt(false, 0.1);
  protocol::Inputs inputs = inputs::Make(workload);
  std::ranges::fill(inputs.data["targets"].As<std::int32_t>(), -1);
  const TraceStep gpt = LossAndGradients(workload, inputs, InitialParameters(inputs), 1);
  EXPECT_EQ(gpt.loss, 0);
  EXPECT_EQ(gpt.gradient_norm, 0);
}

TEST(Loss, IsTheMeanOverTokensAndNotOfSamplesMeans) {
  const protocol::Workload workload = SmallGpt(true, 0);
  const protocol::Inputs inputs = inputs::Make(workload);
  const Values parameters = InitialParameters(inputs);
  const std::vector<std::int64_t> batch = protocol::BatchSamples(inputs.data.at("order"), 1);
  double weighted = 0, of_means = 0;
  std::int64_t tokens = 0;
  for (const std::int64_t id : batch) {
    protocol::Inputs alone = inputs;
    alone.data["order"] = Tensor::FromInt64({1, 1}, std::vector<std::int64_t>{id});
    const TraceStep step = LossAndGradients(workload, alone, parameters, 1);
    weighted += step.loss * static_cast<double>(step.valid_tokens);
    of_means += step.loss / static_cast<double>(batch.size());
    tokens += step.valid_tokens;
  }
  const TraceStep all = LossAndGradients(workload, inputs, parameters, 1);
  EXPECT_EQ(all.valid_tokens, tokens);
  EXPECT_NEAR(all.loss, weighted / static_cast<double>(tokens), 1e-14);
  EXPECT_GT(std::abs(all.loss - of_means), 1e-3);  // or the workload could not tell the two apart
}

TEST(Gradient, DoesNotDependOnTheOrderOfSamples) {
  const protocol::Workload workload = SmallGpt(true, 0.2);
  protocol::Inputs inputs = inputs::Make(workload);
  const Values parameters = InitialParameters(inputs);
  const TraceStep before = LossAndGradients(workload, inputs, parameters, 1);
  std::ranges::reverse(inputs.data["order"].As<std::int64_t>().first(3));
  const TraceStep after = LossAndGradients(workload, inputs, parameters, 1);
  for (const auto& [name, values] : before.gradients) {
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(after.gradients.at(name)[i], values[i], 1e-15) << name;
  }
}

TEST(Gradient, OfTiedWeightsIsTheSumOfBothUses) {
  const protocol::Workload tied = SmallGpt(true, 0.2), untied = SmallGpt(false, 0.2);
  const protocol::Inputs inputs = inputs::Make(tied);
  Values parameters = InitialParameters(inputs);
  const TraceStep together = LossAndGradients(tied, inputs, parameters, 1);
  parameters["head.weight"] = parameters.at("wte.weight");
  const TraceStep apart = LossAndGradients(untied, inputs, parameters, 1);
  const std::vector<double>& sum = together.gradients.at("wte.weight");
  for (std::size_t i = 0; i < sum.size(); ++i) {
    EXPECT_NEAR(sum[i], apart.gradients.at("wte.weight")[i] + apart.gradients.at("head.weight")[i], 1e-15);
  }
}

TEST(Forms, SamplesAndStreamGiveTheSameNumbers) {
  protocol::Workload workload = SmallGpt(true, 0.1);
  workload.data.uneven = false;
  protocol::Inputs samples = inputs::Make(workload), stream = samples;
  const std::int64_t width = workload.model.sequence, count = samples.data["inputs"].shape[0];
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count * width + 1));
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i * i % 11);
  const std::vector<std::int32_t> shifted(tokens.begin() + 1, tokens.end());
  const std::vector<std::int32_t> first(tokens.begin(), tokens.end() - 1);
  samples.data["inputs"] = Tensor::FromInt32({count, width}, first);
  samples.data["targets"] = Tensor::FromInt32({count, width}, shifted);
  stream.form = "stream";
  stream.data.erase("inputs");
  stream.data.erase("targets");
  const TraceStep expected = LossAndGradients(workload, samples, InitialParameters(samples), 2);
  for (const protocol::DType type : {protocol::DType::kU8, protocol::DType::kU16, protocol::DType::kI32}) {
    Tensor held = Tensor::Zeros(type, {static_cast<std::int64_t>(tokens.size())});
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (type == protocol::DType::kU8) held.As<std::uint8_t>()[i] = static_cast<std::uint8_t>(tokens[i]);
      if (type == protocol::DType::kU16) held.As<std::uint16_t>()[i] = static_cast<std::uint16_t>(tokens[i]);
      if (type == protocol::DType::kI32) held.As<std::int32_t>()[i] = tokens[i];
    }
    stream.data["stream"] = held;
    const TraceStep step = LossAndGradients(workload, stream, InitialParameters(stream), 2);
    EXPECT_EQ(step.loss, expected.loss);
    EXPECT_EQ(step.gradients, expected.gradients);
  }
}

TEST(Relu, HasGradientZeroAtZeroAndPassesNaN) {
  Matrix x(1, 4), dy(1, 4);
  x.values = {-1, 0, 2, std::numeric_limits<double>::quiet_NaN()};
  dy.values = {5, 5, 5, 5};
  const Matrix y = Activate(protocol::Activation::kRelu, x);
  const Matrix dx = ActivateBackward(protocol::Activation::kRelu, x, dy);
  EXPECT_EQ(std::vector<double>(y.values.begin(), y.values.begin() + 3), (std::vector<double>{0, 0, 2}));
  EXPECT_TRUE(std::isnan(y.values[3]));
  EXPECT_EQ(std::vector<double>(dx.values.begin(), dx.values.begin() + 3), (std::vector<double>{0, 0, 5}));
}

TEST(Gelu, IsTheTanhApproximation) {
  Matrix x(1, 3);
  x.values = {1, -2, 0};
  const Matrix y = Activate(protocol::Activation::kGelu, x);
  EXPECT_NEAR(y.values[0], 0.8411919906082768, 1e-15);    // the exact, erf-based one is 0.8413447...
  EXPECT_NEAR(y.values[1], -0.04540230591222494, 1e-15);  // -0.0455003...
  EXPECT_EQ(y.values[2], 0);
}

// Rows of mean 2 and variance 2/3, with epsilon inside the root.
TEST(LayerNorm, DividesByTheBiasedDeviation) {
  Matrix x(1, 3);
  x.values = {1, 2, 3};
  const Matrix y = LayerNorm(x, {1, 10, 2}, {0, 7, 1});
  const double deviation = std::sqrt(2.0 / 3 + 1e-5);
  EXPECT_NEAR(y(0, 0), -1 / deviation, 1e-15);
  EXPECT_EQ(y(0, 1), 7);
  EXPECT_NEAR(y(0, 2), 2 / deviation + 1, 1e-15);
}

TEST(Attention, OfTheFirstPositionIsItsOwnValue) {
  Matrix qkv(2, 6);  // one head of width 2
  qkv.values = {1, 2, 3, 4, 5, 6, 1, 0, 0, 1, -5, 8};
  const Matrix y = Attention(qkv, 1);
  EXPECT_EQ(y(0, 0), 5);
  EXPECT_EQ(y(0, 1), 6);
  // Position 1: scores (3, 0) / sqrt(2).
  const double first = std::exp(3 / std::sqrt(2.0)) / (std::exp(3 / std::sqrt(2.0)) + 1);
  EXPECT_NEAR(y(1, 0), first * 5 + (1 - first) * -5, 1e-14);
  EXPECT_NEAR(y(1, 1), first * 6 + (1 - first) * 8, 1e-14);
}

TEST(Attention, DoesNotSeeLaterPositions) {
  Matrix qkv(3, 12);  // two heads of width 2
  for (std::size_t i = 0; i < qkv.values.size(); ++i) qkv.values[i] = std::sin(static_cast<double>(i));
  const Matrix before = Attention(qkv, 2);
  for (std::int64_t c = 0; c < qkv.cols; ++c) qkv(2, c) += 1;
  const Matrix after = Attention(qkv, 2);
  for (std::int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(after(0, c), before(0, c));
    EXPECT_EQ(after(1, c), before(1, c));
    EXPECT_NE(after(2, c), before(2, c));
  }
}

TEST(DropoutMask, KeepsByTheProtocolsTestValues) {
  // PROTOCOL.md: seed 1, step 1, sample 5, site 3, position 7 gives u 2^24 = 2019705, 13887146 for features 0 and 1.
  Matrix x(8, 2);
  std::ranges::fill(x.values, 3.0);
  Dropout({1, 1, 5, 3, 0.2}, x);
  EXPECT_EQ(x(7, 0), 0);        // u = 0.1204
  EXPECT_EQ(x(7, 1), 3 / 0.8);  // u = 0.8277, divided in fp64
}

TEST(DropoutMask, KeepsTheRightShare) {
  Matrix x(100, 100);
  std::ranges::fill(x.values, 1.0);
  Dropout({9, 2, 0, 0, 0.25}, x);
  const auto dropped = std::ranges::count(x.values, 0.0);
  EXPECT_NEAR(static_cast<double>(dropped), 2500, 5 * std::sqrt(10000 * 0.25 * 0.75));
}

TEST(DropoutMask, ChangesWithStepAndSampleButNotWithTheBatch) {
  const protocol::Workload workload = SmallGpt(true, 0.4);
  protocol::Inputs inputs = inputs::Make(workload);
  const Values parameters = InitialParameters(inputs);
  const std::vector<std::int64_t> batch = protocol::BatchSamples(inputs.data.at("order"), 1);
  const auto loss = [&](std::vector<std::int64_t> ids, std::int64_t step) {
    const std::int64_t width = static_cast<std::int64_t>(ids.size());
    std::vector<std::int64_t> rows;
    for (std::int64_t s = 0; s < 3; ++s) rows.insert(rows.end(), ids.begin(), ids.end());
    inputs.data["order"] = Tensor::FromInt64({3, width}, rows);
    const TraceStep result = LossAndGradients(workload, inputs, parameters, step);
    return result.loss * static_cast<double>(result.valid_tokens);
  };
  EXPECT_NE(loss({batch[0]}, 1), loss({batch[0]}, 2));
  EXPECT_NEAR(loss({batch[0], batch[1]}, 1), loss({batch[0]}, 1) + loss({batch[1]}, 1), 1e-13);
}

TEST(Oracle, RefusesAnOwnModel) {
  protocol::Workload workload;
  workload.model.kind = protocol::ModelKind::kOwn;
  workload.model.own_name = "resnet";
  EXPECT_THROW(LossAndGradients(workload, {}, {}, 1), protocol::BadInput);
}

}  // namespace
}  // namespace lockstep::oracle
