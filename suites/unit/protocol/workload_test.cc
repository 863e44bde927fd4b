#include "harness/protocol/workload.h"

#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::HasSubstr;

Workload FromToml(const std::string& text) { return WorkloadFromJson(ParseToml(text, "w.toml"), "w.toml"); }
std::string RefusalOf(const std::string& text) {
  return Refusal([&] { FromToml(text); });
}

TEST(Workload, EveryFieldSurvivesTheWayThroughJson) {
  Workload workload = SmallRequest().workload;
  workload.model.tied = false;
  workload.model.dropout = 0.1;
  workload.optimizer = {OptimizerKind::kAdamW, 3e-4, 0.8, 0.85, 0.95, 1e-6, 0.01, 1.5, 4, 40, 1e-5};
  workload.data = {DataKind::kFile, 90, true, true, "text", "labels"};
  workload.precision = Precision::kBF16;
  workload.seed = 123456789012345;
  EXPECT_EQ(WorkloadFromJson(WorkloadToJson(workload), "w"), workload);

  workload.model = Model{};
  workload.model.sizes = {3, 5, 2};
  workload.model.activation = Activation::kGelu;
  workload.model.loss = LossKind::kCrossEntropy;
  EXPECT_EQ(WorkloadFromJson(WorkloadToJson(workload), "w"), workload);

  workload.model = Model{};
  workload.model.kind = ModelKind::kOwn;
  workload.model.own_name = "resnet";
  EXPECT_EQ(WorkloadFromJson(WorkloadToJson(workload), "w"), workload);
}

TEST(Workload, AnEmptyFileIsAUsefulWorkload) {
  const Workload workload = FromToml("");
  EXPECT_EQ(workload.model.kind, ModelKind::kGpt);
  EXPECT_EQ(workload.model.mlp_width, 4 * workload.model.width);
  EXPECT_EQ(workload.model.vocabulary, 256);
  EXPECT_GT(workload.steps, 1);
}

TEST(Workload, RefusalsNameFileAndField) {
  EXPECT_EQ(RefusalOf("[model]\nkind = \"gpt\"\nwidht = 8\n"), "w.toml: model.widht: unknown key; expected \"width\"");
  EXPECT_THAT(RefusalOf("[modle]\n"), HasSubstr("w.toml: modle: unknown key; expected \"model\""));
  EXPECT_THAT(RefusalOf("[model]\nkind = \"mlp\"\nwidth = 8\n"), HasSubstr("w.toml: model.width: unknown key"));
  EXPECT_THAT(RefusalOf("[model]\nwidth = 30\nheads = 4\n"),
              HasSubstr("w.toml: model.width: is 30; expected a multiple"));
  EXPECT_THAT(RefusalOf("[model]\nkind = \"mlp\"\nsizes = [4]\n"), HasSubstr("w.toml: model.sizes: has 1"));
  EXPECT_THAT(RefusalOf("[model]\nkind = \"mlp\"\nsizes = [4, 0]\n"), HasSubstr("w.toml: model.sizes: holds 0"));
  EXPECT_THAT(RefusalOf("[model]\nkind = \"own\"\n"), HasSubstr("w.toml: model.name: is missing"));
  EXPECT_THAT(RefusalOf("[model]\ndropout = 1.0\n"), HasSubstr("w.toml: model.dropout: is 1"));
  EXPECT_THAT(RefusalOf("[optimizer]\nlearning_rate = nan\n"),
              HasSubstr("w.toml: optimizer.learning_rate: is \"NaN\""));
  EXPECT_THAT(RefusalOf("[optimizer]\nbeta2 = 1.0\n"), HasSubstr("w.toml: optimizer.beta2"));
  EXPECT_THAT(RefusalOf("[optimizer]\nkind = \"adam\"\n"), HasSubstr("w.toml: optimizer.kind: is \"adam\""));
  EXPECT_THAT(RefusalOf("[optimizer]\nwarmup_steps = 5\ncosine_steps = 5\n"),
              HasSubstr("w.toml: optimizer.cosine_steps"));
  EXPECT_THAT(RefusalOf("[training]\nsteps = 0\n"), HasSubstr("w.toml: training.steps: is 0"));
  EXPECT_THAT(RefusalOf("[training]\nseed = -1\n"), HasSubstr("w.toml: training.seed: is -1"));
  EXPECT_THAT(RefusalOf("training = 3\n"), HasSubstr("w.toml: training: is 3"));
}

TEST(LearningRate, WarmsUpThenFallsAsACosineToItsMinimum) {
  Optimizer optimizer;
  optimizer.learning_rate = 1;
  optimizer.warmup_steps = 4;
  optimizer.cosine_steps = 12;
  optimizer.minimum_learning_rate = 0.2;
  EXPECT_EQ(LearningRate(optimizer, 1), 0.25);
  EXPECT_EQ(LearningRate(optimizer, 4), 1);
  EXPECT_DOUBLE_EQ(LearningRate(optimizer, 8), 0.6);  // halfway
  EXPECT_DOUBLE_EQ(LearningRate(optimizer, 12), 0.2);
  EXPECT_DOUBLE_EQ(LearningRate(optimizer, 100), 0.2);
  optimizer.cosine_steps = 0;
  EXPECT_EQ(LearningRate(optimizer, 100), 1);
}

TEST(ModelFlops, CountsMatrixWeightsAndAttention) {
  Model gpt = SmallRequest().workload.model;  // C 4, F 8, V 7, T 3, L 2
  EXPECT_EQ(ModelFlops(gpt, 1), 6 * (2 * (3 * 16 + 16 + 2 * 32) + 28) + 12 * 2 * 4 * 3);
  gpt.tied = false;  // the head is a matrix product either way
  EXPECT_EQ(ModelFlops(gpt, 10), 10 * (6 * 284 + 288));
  Model mlp;
  mlp.sizes = {3, 5, 2};
  EXPECT_EQ(ModelFlops(mlp, 2), 2 * 6 * 25);
}

TEST(Parameters, FollowTheCanonicalOrderAndLayouts) {
  Model model = SmallRequest().workload.model;
  std::vector<Parameter> parameters = Parameters(model);
  ASSERT_EQ(parameters.size(), 2 + 2 * 12 + 2u);
  EXPECT_EQ(parameters[0].name, "wte.weight");
  EXPECT_EQ(parameters[4].name, "h.0.attn.qkv.weight");
  EXPECT_EQ(parameters[4].shape, (Shape{3, 2, 2, 4}));
  EXPECT_EQ(parameters[6].shape, (Shape{4, 2, 2}));
  EXPECT_EQ(parameters.back().name, "ln_f.bias");
  model.tied = false;
  EXPECT_EQ(Parameters(model).back().name, "head.weight");
  for (const Parameter& parameter : Parameters(model)) {
    const bool norm = parameter.name.find("ln_") != std::string::npos;
    EXPECT_EQ(parameter.decayed, parameter.name.ends_with(".weight") && !norm) << parameter.name;
  }
  Model mlp;
  mlp.sizes = {3, 5};
  EXPECT_EQ(Parameters(mlp)[0].shape, (Shape{5, 3}));
  EXPECT_EQ(StateNames(OptimizerKind::kAdamW), (std::vector<std::string>{"exp_avg", "exp_avg_sq"}));
}

}  // namespace
}  // namespace lockstep::protocol
