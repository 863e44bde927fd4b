// Every layout trains what one rank trains: to the byte where it must, to fp32's noise elsewhere.
#include <gtest/gtest.h>

#include "suites/unit/trainer/runs.h"

namespace lockstep::trainer::testing {
namespace {

constexpr double kNoise = 1e-5;  // some hundred units of round-off; a fault is at least a thousand times larger

// Plan of one rank with the same micro-batches.
std::string SingleOf(const std::string& plan) {
  const auto at = plan.find("micro_batches=");
  return at == std::string::npos ? "single" : plan.substr(at, plan.find(',', at) - at);
}

void ExpectBitwise(const protocol::Workload& workload, const std::string& plan) {
  Runs runs;
  const auto single = runs.Run("single", RequestOf(workload, SingleOf(plan)));
  EXPECT_EQ(FirstDifference(single, runs.Run("plan", RequestOf(workload, plan))), "") << plan;
}

void ExpectRight(const protocol::Workload& workload, const std::string& plan) {
  Runs runs;
  const auto run = runs.Run("plan", RequestOf(workload, plan));
  EXPECT_LE(LargestError(run, runs.folder() + "/plan"), kNoise) << plan;
}

TEST(Trainer, TrainsOnOneRankWhatTheOracleTrains) {
  ExpectRight(Gpt(), "single");
  ExpectRight(Mlp(), "single");
}

TEST(Trainer, AccumulatesMicroBatchesOfDifferentSize) {
  ExpectRight(Gpt(), "micro_batches=3");
  ExpectRight(Mlp(), "micro_batches=4");
}

TEST(Trainer, TrainsAPipelineToTheSingleRanksBytes) {
  for (const char* plan : {"pp=2,micro_batches=3", "pp=3,micro_batches=2,schedule=gpipe"}) ExpectBitwise(Gpt(), plan);
  for (const char* plan : {"pp=2,micro_batches=3,schedule=gpipe", "pp=5,micro_batches=4"}) ExpectBitwise(Mlp(), plan);
}

TEST(Trainer, TrainsAPipelineOfUntiedAndDroppedOutStagesToTheSingleRanksBytes) {
  protocol::Workload workload = Gpt();
  workload.model.tied = false;
  workload.model.dropout = 0.1;
  ExpectBitwise(workload, "pp=3,micro_batches=3");
}

TEST(Trainer, TrainsEveryProductOfLayouts) {
  for (const char* plan : {"dp=2", "dp=3,micro_batches=2", "tp=2", "tp=3", "tp=2,sequence_parallel=true",
                           "tp=3,sequence_parallel=true,micro_batches=2", "dp=2,tp=2", "pp=2,tp=2,micro_batches=2",
                           "dp=2,pp=2,tp=2,micro_batches=2,sequence_parallel=true"}) {
    ExpectRight(Gpt(), plan);
  }
  for (const char* plan : {"tp=2", "tp=3", "dp=2,pp=2,tp=2,micro_batches=2"}) {
    ExpectRight(Mlp(), plan);
  }
}

// The protocol has no such plan for an mlp; the trainer's layers don't mind.
TEST(Trainer, SplitsTheRowsOfAnMlpBetweenPairs) {
  for (const char* plan : {"tp=2", "pp=2,tp=3,micro_batches=2"}) {
    protocol::Request request = RequestOf(Mlp(), plan);
    request.plan.sequence_parallel = true;
    Runs runs;
    const auto run = runs.Run("rows", request);
    EXPECT_LE(LargestError(run, runs.folder() + "/rows"), kNoise) << plan;
  }
}

TEST(Trainer, DrawsTheSameDropoutMasksUnderEveryLayout) {
  protocol::Workload workload = Gpt();
  workload.model.dropout = 0.2;
  for (const char* plan : {"dp=2", "tp=2", "tp=3,sequence_parallel=true"}) ExpectRight(workload, plan);
}

TEST(Trainer, ClipsByTheGlobalNormUnderEveryLayout) {
  protocol::Workload workload = Gpt();
  workload.optimizer.kind = protocol::OptimizerKind::kMomentum;
  workload.optimizer.weight_decay = 0.05;
  workload.optimizer.clip_norm = 0.1;
  workload.optimizer.warmup_steps = 2;
  workload.optimizer.cosine_steps = 4;
  for (const char* plan : {"single", "tp=2", "pp=2,tp=2,micro_batches=2"}) ExpectRight(workload, plan);
  ExpectBitwise(workload, "pp=3,micro_batches=3");
}

TEST(Trainer, OverlapsCommunicationWithoutChangingAByte) {
  protocol::Request request = RequestOf(Gpt(), "dp=2,micro_batches=2,bucket_bytes=2048");
  Runs runs;
  request.plan.overlap = true;
  const auto beside = runs.Run("beside", request);
  request.plan.overlap = false;
  EXPECT_EQ(FirstDifference(beside, runs.Run("after", request)), "");
}

TEST(Trainer, RepeatsARunToTheByte) {
  Runs runs;
  const protocol::Request request = RequestOf(Gpt(), "dp=2,pp=2,tp=2,micro_batches=2");
  EXPECT_EQ(FirstDifference(runs.Run("first", request), runs.Run("second", request)), "");
}

TEST(Trainer, TrainsInBF16OnFP32MastersToTheSingleRanksBytes) {
  protocol::Workload workload = Gpt();
  workload.precision = protocol::Precision::kBF16;
  ExpectBitwise(workload, "pp=3,micro_batches=2");
  Runs runs;
  const auto run = runs.Run("bf16", RequestOf(workload, "tp=2"));
  const double error = LargestError(run, runs.folder() + "/bf16");
  EXPECT_LE(error, 0.1);
  EXPECT_GE(error, 1e-4) << "this precise it wasn't bf16";
}

TEST(Trainer, HandlesReplicasWithoutASampleInAShortTail) {
  protocol::Workload workload = Mlp();
  workload.data.samples = 7;
  workload.data.epochs = true;
  workload.global_batch = 5;
  workload.steps = 4;
  for (const char* plan : {"dp=3", "dp=2,micro_batches=2", "pp=2,micro_batches=4"}) ExpectRight(workload, plan);
}

TEST(Trainer, ReportsWhatItBuilt) {
  Runs runs;
  const protocol::Request request = RequestOf(Gpt(), "dp=2,pp=2,tp=3,micro_batches=2,sequence_parallel=true");
  const auto run = runs.Run("plan", request);
  ASSERT_EQ(run.ranks().size(), 12u);
  for (std::int64_t rank = 0; rank < 12; ++rank) {
    const protocol::EffectivePlan& effective = run.ranks()[static_cast<std::size_t>(rank)].hello.effective;
    EXPECT_EQ(effective.plan, request.plan);
    EXPECT_EQ(effective.at, request.plan.At(rank));
    EXPECT_EQ(effective.devices.size(), 12u);
  }
}

}  // namespace
}  // namespace lockstep::trainer::testing
