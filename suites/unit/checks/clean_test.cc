// Runs without a fault: every check that applies passes, under each kind of layout, optimizer and precision.
#include <algorithm>

#include "suites/unit/checks/expect.h"

namespace lockstep::checks {
namespace {

struct CleanCase {
  std::string name, plan;
  bool gpt;
  protocol::OptimizerKind optimizer;
};

void PrintTo(const CleanCase& test, std::ostream* out) { *out << test.name; }

class Clean : public testing::TestWithParam<CleanCase> {};

protocol::Workload WorkloadOf(const CleanCase& c) {
  protocol::Workload workload = c.gpt ? UnevenGptWorkload() : MlpWorkload();
  workload.optimizer.kind = c.optimizer;
  if (c.optimizer != protocol::OptimizerKind::kSgd) {
    workload.optimizer.clip_norm = 0.2;
    workload.optimizer.weight_decay = 0.1;
    workload.optimizer.warmup_steps = 2;
    workload.optimizer.cosine_steps = 6;
    workload.optimizer.learning_rate = 0.01;
  }
  return workload;
}

TEST_P(Clean, EveryCheckPasses) {
  Scene scene(WorkloadOf(GetParam()), PlanOf(GetParam().plan));
  Runs runs;
  runs.candidate = scene.Candidate();
  runs.rerun = scene.Candidate();
  runs.variant = scene.Candidate();
  for (const std::string check :
       {"effective_plan", "replicas", "rerun", "noise_ratio", "reported_norm", "optimizer_replay", "ledger",
        "learning_rate", "disjoint_batches", "devices_in_order", "all_samples_through_all_parts"}) {
    ExpectPass(scene.Judge(check, runs));
  }
  const bool split = scene.plan.tensor * scene.plan.pipeline > 1;
  ExpectPass(scene.Judge(split ? "holds_only_its_part" : "holds_full_model", runs));
  if (scene.plan.data > 1 || scene.plan.tensor > 1) ExpectPass(scene.Judge("by_construction", runs));
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, Clean,
    testing::Values(CleanCase{"OneRank", "single", false, protocol::OptimizerKind::kSgd},
                    CleanCase{"Data", "dp=2,micro_batches=3", false, protocol::OptimizerKind::kMomentum},
                    CleanCase{"Tensor", "tp=2", false, protocol::OptimizerKind::kAdamW},
                    CleanCase{"Pipeline", "pp=2,micro_batches=3", true, protocol::OptimizerKind::kSgd},
                    CleanCase{"All", "dp=2,pp=2,tp=2,micro_batches=2", true, protocol::OptimizerKind::kAdamW}),
    [](const auto& param) { return param.param.name; });

TEST(Checks, AreNamedAsTheirFilesAndSaySomething) {
  const std::vector<const Check*> all = AllChecks();
  ASSERT_GE(all.size(), 16u);
  for (const Check* check : all) {
    EXPECT_TRUE(
        std::filesystem::exists(std::filesystem::path(LOCKSTEP_SOURCE_DIR) / "harness/checks" / (check->name + ".cc")))
        << check->name;
    EXPECT_GT(check->sentence.size(), 20u) << check->name;
    EXPECT_FALSE(check->equality_class.empty()) << check->name;
  }
}

TEST(Checks, FailWithoutTheRunTheyNeed) {
  Scene scene(MlpWorkload(), PlanOf("dp=2"));
  Runs runs;
  runs.candidate = scene.Candidate();
  ExpectRefused(scene.Judge("rerun", runs), "needs the rerun run");
  ExpectRefused(scene.Judge("by_construction", runs), "needs the variant run");
  ExpectRefused(scene.Judge("checkpoint_round_trip", runs), "needs the resumed run");
}

// The noise of fp32 on many small workloads: no false alarm, and the ratio stays near 1.
TEST(NoiseRatio, RaisesNoFalseAlarmOverManySeeds) {
  double worst = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    protocol::Workload workload = MlpWorkload();
    workload.seed = seed;
    workload.model.sizes = {3, 2 + static_cast<std::int64_t>(seed % 5), 2 + static_cast<std::int64_t>(seed % 3)};
    Scene scene(workload, PlanOf("dp=2"));
    const protocol::CheckResult r = scene.Judge("noise_ratio");
    ExpectPass(r);
    worst = std::max(worst, r.measured);
  }
  EXPECT_GT(worst, 0.2);  // a ratio that is never near 1 measures nothing
}

}  // namespace
}  // namespace lockstep::checks
