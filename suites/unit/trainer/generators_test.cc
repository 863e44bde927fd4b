// Every generator that there is, over shapes that it can lay out: bytes of the single rank, and memory as simulated.
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/schedule/generate.h"
#include "harness/schedule/simulate.h"
#include "suites/unit/trainer/runs.h"

namespace lockstep::trainer::testing {
namespace {

constexpr double kNoise = 1e-5;

// Blocks enough for any stage, and samples enough for any micro-batch.
protocol::Workload Workload(std::int64_t stages, std::int64_t micro_batches) {
  protocol::Workload workload = Gpt();
  workload.model.layers = stages + 1;
  workload.model.width = 6;
  workload.model.mlp_width = 10;
  workload.global_batch = micro_batches + 1;
  workload.steps = 2;
  return workload;
}

// Plans of one generator that can be laid out: p = 2, 3, 4 of each number of chunks up to 3.
std::vector<std::string> PlansOf(const schedule::Generator& generator) {
  std::vector<std::string> plans;
  for (std::int64_t p = 2; p <= 4; ++p) {
    for (std::int64_t v = generator.min_chunks; v <= std::min<std::int64_t>(3, generator.max_chunks); ++v) {
      for (const std::int64_t m : {2 * p * std::min<std::int64_t>(v, 2), p + 1}) {
        if (!schedule::WhyNot(generator, {p, v, m}).empty()) continue;
        plans.push_back("pp=" + std::to_string(p) + ",chunks=" + std::to_string(v) +
                        ",micro_batches=" + std::to_string(m) + ",schedule=" + generator.name);
      }
    }
  }
  std::sort(plans.begin(), plans.end());
  plans.erase(std::unique(plans.begin(), plans.end()), plans.end());
  return plans;
}

bool StandsTwice(const protocol::Schedule& schedule) { return protocol::RanksOfStage(schedule, 0).size() > 1; }

class EveryGenerator : public ::testing::TestWithParam<const schedule::Generator*> {};

TEST_P(EveryGenerator, TrainsToTheSingleRanksBytes) {
  const std::vector<std::string> plans = PlansOf(*GetParam());
  EXPECT_GE(plans.size(), 2u);
  for (const std::string& text : plans) {
    const protocol::Plan plan = protocol::ParsePlan(text);
    const protocol::Workload workload = Workload(plan.Stages(), plan.micro_batches);
    Runs runs;
    const protocol::Request request = RequestOf(workload, text);
    const auto run = runs.Run("plan", request);
    if (StandsTwice(request.schedule)) {  // two ranks' sums are added at the end: another order than one rank's
      EXPECT_LE(LargestError(run, runs.folder() + "/plan"), kNoise) << text;
      continue;
    }
    const auto single = runs.Run("single", RequestOf(workload, "micro_batches=" + std::to_string(plan.micro_batches)));
    EXPECT_EQ(FirstDifference(single, run), "") << text;
  }
}

// Bytes of activations at a rank's peak, in those of one micro-batch of one stage.
TEST_P(EveryGenerator, HoldsAsManyMicroBatchesAsTheSimulatorSays) {
  constexpr std::int64_t kRanks = 4, kMicroBatches = 8;
  const std::int64_t chunks = std::max(GetParam()->min_chunks, std::min<std::int64_t>(2, GetParam()->max_chunks));
  protocol::Workload workload = Gpt();
  workload.model.width = 48;
  workload.model.mlp_width = 192;
  workload.model.vocabulary = 5;
  workload.model.sequence = 16;
  workload.model.layers = 2 * kRanks * chunks;
  workload.global_batch = kMicroBatches;
  workload.steps = 1;
  Runs runs;
  const auto peak = [&](const protocol::RankEvidence& rank) {
    return static_cast<double>(rank.done->memory.categories.at("activations"));
  };
  const double stage =
      peak(runs.Run("one", RequestOf(workload, "micro_batches=8")).ranks()[0]) / static_cast<double>(kRanks * chunks);
  const protocol::Request request =
      RequestOf(workload, "pp=4,chunks=" + std::to_string(chunks) + ",micro_batches=8,schedule=" + GetParam()->name);
  const auto run = runs.Run("plan", request);
  const auto simulation = schedule::Simulate(request.schedule, schedule::Costs{}, schedule::Channels{});
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const auto said = static_cast<double>(simulation.ranks[r].peak_activations);
    EXPECT_NEAR(peak(run.ranks()[r]) / stage, said, 1.0) << "on rank " << r;
  }
}

std::string NameOf(const ::testing::TestParamInfo<const schedule::Generator*>& info) {
  return "Of_" + info.param->name;
}

INSTANTIATE_TEST_SUITE_P(Executor, EveryGenerator, ::testing::ValuesIn(schedule::AllGenerators()), NameOf);

}  // namespace
}  // namespace lockstep::trainer::testing
