// Optimizers, clipping and learning rates against values worked by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "suites/unit/oracle/small_workloads.h"

namespace lockstep::oracle {
namespace {

// A layer of one weight (decayed) and one bias (not), stepped with given gradients.
class OneWeight : public testing::Test {
 protected:
  OneWeight() {
    workload.model.sizes = {1, 1};
    workload.optimizer.learning_rate = 0.5;
    Set(1, 2);
  }
  void Set(double weight, double bias) {
    state.parameters = {{"layers.0.weight", {weight}}, {"layers.0.bias", {bias}}};
  }
  void Step(std::int64_t number, double weight_gradient, double bias_gradient) {
    TraceStep next;
    next.gradients = {{"layers.0.weight", {weight_gradient}}, {"layers.0.bias", {bias_gradient}}};
    Update(workload, state, number, next);
    state = next;
  }
  double weight() const { return state.parameters.at("layers.0.weight")[0]; }
  double bias() const { return state.parameters.at("layers.0.bias")[0]; }

  protocol::Workload workload;
  TraceStep state;
};

TEST_F(OneWeight, SgdDecaysTheWeightAndNotTheBias) {
  workload.optimizer.weight_decay = 0.25;
  Step(1, 2, 4);
  EXPECT_EQ(weight(), 1 - 0.5 * (2 + 0.25));
  EXPECT_EQ(bias(), 2 - 0.5 * 4);
}

TEST_F(OneWeight, MomentumAccumulatesTheDecayedGradient) {
  workload.optimizer.kind = protocol::OptimizerKind::kMomentum;
  workload.optimizer.momentum = 0.5;
  workload.optimizer.weight_decay = 0.25;
  state.state = {{"layers.0.weight/momentum", {0}}, {"layers.0.bias/momentum", {0}}};
  Step(1, 2, 4);
  EXPECT_EQ(state.state.at("layers.0.weight/momentum")[0], 2.25);
  EXPECT_EQ(weight(), 1 - 0.5 * 2.25);  // -0.125
  Step(2, 1, 1);
  EXPECT_EQ(state.state.at("layers.0.weight/momentum")[0], 0.5 * 2.25 + 1 - 0.25 * 0.125);
  EXPECT_EQ(bias(), 2 - 0.5 * 4 - 0.5 * (0.5 * 4 + 1));
}

TEST_F(OneWeight, AdamWDecaysApartFromItsMoments) {
  protocol::Optimizer& o = workload.optimizer;
  o = {.kind = protocol::OptimizerKind::kAdamW,
       .learning_rate = 0.5,
       .beta1 = 0.5,
       .beta2 = 0.75,
       .epsilon = 1,
       .weight_decay = 0.25};
  state.state = {{"layers.0.weight/exp_avg", {0}},
                 {"layers.0.weight/exp_avg_sq", {0}},
                 {"layers.0.bias/exp_avg", {0}},
                 {"layers.0.bias/exp_avg_sq", {0}}};
  Step(1, 2, -4);
  // m = 1, v = 1; corrected 2 and 4; the update 0.5 * 2 / (2 + 1).
  EXPECT_EQ(state.state.at("layers.0.weight/exp_avg")[0], 1);
  EXPECT_EQ(state.state.at("layers.0.weight/exp_avg_sq")[0], 1);
  EXPECT_NEAR(weight(), 1 - 0.5 * 0.25 - 0.5 * 2 / 3, 1e-15);
  EXPECT_NEAR(bias(), 2 + 0.5 * 4 / 5, 1e-15);
  const double before = weight();
  Step(2, 4, 0);
  // m = 0.5 + 2 = 2.5, v = 0.75 + 4 = 4.75; corrected by 1 - 0.25 and 1 - 0.5625.
  const double update = 0.5 * (2.5 / 0.75) / (std::sqrt(4.75 / 0.4375) + 1);
  EXPECT_NEAR(weight(), before - 0.5 * 0.25 * before - update, 1e-15);
}

TEST_F(OneWeight, ClippingScalesTheWholeGradientByOneFactor) {
  workload.optimizer.clip_norm = 2;
  Step(1, 3, 4);
  EXPECT_EQ(state.gradient_norm, 5);
  const double factor = 2 / (5 + 1e-6);
  EXPECT_EQ(state.gradients.at("layers.0.weight")[0], 3);
  EXPECT_EQ(state.clipped.at("layers.0.weight")[0], 3 * factor);
  EXPECT_EQ(state.clipped.at("layers.0.bias")[0], 4 * factor);
  EXPECT_EQ(bias(), 2 - 0.5 * 4 * factor);
}

TEST_F(OneWeight, ClippingLeavesASmallGradientAsItIs) {
  workload.optimizer.clip_norm = 5.1;
  Step(1, 3, 4);
  EXPECT_EQ(state.clipped, state.gradients);
}

TEST_F(OneWeight, LearnsAtTheScheduledRate) {
  protocol::Optimizer& o = workload.optimizer;
  o.learning_rate = 0.8;
  o.warmup_steps = 2;
  o.cosine_steps = 6;
  o.minimum_learning_rate = 0.2;
  const double expected[] = {0.4, 0.8, 0.2 + 0.3 * (1 + std::sqrt(0.5)), 0.5, 0.2 + 0.3 * (1 - std::sqrt(0.5)),
                             0.2, 0.2};
  for (std::int64_t s = 1; s <= 7; ++s) {
    Set(1, 2);
    Step(s, 1, 1);
    EXPECT_NEAR(state.learning_rate, expected[s - 1], 1e-15) << s;
    EXPECT_NEAR(weight(), 1 - expected[s - 1], 1e-15) << s;
  }
}

TEST(Update, DecaysMatricesAndEmbeddingsButNeitherNormsNorBiases) {
  protocol::Workload workload = SmallGpt(false, 0);
  workload.optimizer.weight_decay = 0.5;
  const protocol::Inputs inputs = inputs::Make(workload);
  TraceStep before, after;
  before.parameters = InitialParameters(inputs);
  for (const auto& [name, values] : before.parameters) after.gradients[name].resize(values.size());
  Update(workload, before, 1, after);
  int kept = 0;
  for (const auto& [name, values] : after.parameters) {
    const bool same = values == before.parameters.at(name);
    const bool decayed = name.ends_with(".weight") && name.find("ln_") == std::string::npos;
    EXPECT_EQ(same, !decayed) << name;
    kept += same ? 1 : 0;
  }
  EXPECT_EQ(kept, 2 * 8 + 2);  // a block's two norms (weight and bias) and four biases; ln_f's two
}

}  // namespace
}  // namespace lockstep::oracle
