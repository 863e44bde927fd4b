// Any schedule trains what one rank trains: backwards in parts, stages anywhere, links in any order.
#include <gtest/gtest.h>

#include "suites/unit/trainer/runs.h"

namespace lockstep::trainer::testing {
namespace {

constexpr double kNoise = 1e-5;

// The bytes of one rank that does the same micro-batches whole.
void ExpectSingleRanksBytes(const protocol::Request& request) {
  Runs runs;
  const std::string micro_batches = "micro_batches=" + std::to_string(request.plan.micro_batches);
  const auto single = runs.Run("single", RequestOf(request.workload, micro_batches));
  EXPECT_EQ(FirstDifference(single, runs.Run("plan", request)), "") << ToString(request.schedule.ranks[0]);
}

protocol::Workload Deep() {
  protocol::Workload workload = Gpt();
  workload.model.layers = 4;
  return workload;
}

// Input gradients first, as a zero-bubble schedule has them; what is left over is filled with weight gradients.
const std::vector<std::string> kApart = {"0F0,0F1,0I0,0F2,0I1,0W0,0I2,0W1,0W2", "1F0,1I0,1F1,1I1,1F2,1I2,1W0,1W1,1W2"};
const std::vector<std::vector<std::int64_t>> kV = {{0, 3}, {1, 2}};
const std::vector<std::string> kVApart = {"0F0,0F1,3F0,3I0,0F2,3F1,3I1,3W0,0I0,3F2,3I2,0W0,3W1,0I1,3W2,0I2,0W1,0W2",
                                          "1F0,2F0,1F1,2F1,2I0,1I0,1F2,2W0,2F2,1W0,2I1,1I1,2I2,1I2,2W1,1W1,1W2,2W2"};

TEST(Executor, ComputesABackwardInPartsToTheBytesOfTheWhole) {
  for (const std::string line : {"0F0,0I0,0W0,0F1,0I1,0W1,0F2,0I2,0W2", "0F0,0F1,0F2,0I2,0I0,0I1,0W0,0W1,0W2"}) {
    ExpectSingleRanksBytes(RequestOf(Mlp(), "micro_batches=3", {line}));
    ExpectSingleRanksBytes(RequestOf(Gpt(), "micro_batches=3", {line}));
  }
}

TEST(Executor, ComputesAPipelineInPartsToTheSingleRanksBytes) {
  protocol::Workload workload = Gpt();
  for (const bool tied : {true, false}) {
    workload.model.tied = tied;
    workload.model.dropout = tied ? 0.0 : 0.2;
    ExpectSingleRanksBytes(RequestOf(workload, "pp=2,micro_batches=3", kApart));
  }
  workload.precision = protocol::Precision::kBF16;
  ExpectSingleRanksBytes(RequestOf(workload, "pp=2,micro_batches=3", kApart));
  workload = Mlp();
  workload.model.activation = protocol::Activation::kGelu;
  workload.model.loss = protocol::LossKind::kCrossEntropy;
  ExpectSingleRanksBytes(RequestOf(workload, "pp=2,micro_batches=3", kApart));
}

TEST(Executor, AddsWeightGradientsInTheOrderOfTheirOwnActions) {
  Runs runs;
  const auto backwards = runs.Run("B", RequestOf(Gpt(), "micro_batches=3", {"0F0,0F1,0F2,0B2,0B0,0B1"}));
  const auto parts = runs.Run("W", RequestOf(Gpt(), "micro_batches=3", {"0F0,0F1,0F2,0I0,0I1,0I2,0W2,0W0,0W1"}));
  EXPECT_EQ(FirstDifference(backwards, parts), "");
}

TEST(Executor, RunsBothEndsOfATiedModelOnOneRank) {
  ExpectSingleRanksBytes(RequestOf(Deep(), "pp=2,chunks=2,micro_batches=3", kVApart, kV));
}

TEST(Executor, TakesMessagesInTheOrderInWhichTheyAreSent) {
  // Rank 0 sends two of stage 0 before stage 2 has begun; rank 1 uses stage 1's second one after stage 3's first.
  ExpectSingleRanksBytes(RequestOf(Deep(), "pp=2,chunks=2,micro_batches=2",
                                   {"0F0,0F1,2F0,2F1,2B0,2B1,0B0,0B1", "1F0,3F0,1F1,3F1,3B0,3B1,1B0,1B1"}));
}

TEST(Executor, WaitsForNothingThatItsOwnLaterSendBringsAbout) {
  // A ring: what rank 0 receives for stage 2 depends on what it sends for stage 0 in the action just before.
  ExpectSingleRanksBytes(RequestOf(Deep(), "pp=2,chunks=2,micro_batches=1", {"0F0,2F0,2B0,0B0", "1F0,3F0,3B0,1B0"}));
}

TEST(Executor, RunsAPartitionOfUnequalStages) {
  ExpectSingleRanksBytes(RequestOf(Deep(), "pp=2,micro_batches=3,partition=3+1", kApart));
}

TEST(Executor, RunsPartsUnderDataAndTensorParallel) {
  for (const char* plan : {"dp=2,pp=2,micro_batches=3", "pp=2,tp=2,micro_batches=3",
                           "dp=2,pp=2,tp=3,micro_batches=3,sequence_parallel=true"}) {
    Runs runs;
    const auto run = runs.Run("plan", RequestOf(Gpt(), plan, kApart));
    EXPECT_LE(LargestError(run, runs.folder() + "/plan"), kNoise) << plan;
  }
}

TEST(Executor, RunsMicroBatchesWithoutASample) {
  protocol::Workload workload = Mlp();
  workload.data.samples = 7;
  workload.data.epochs = true;
  workload.global_batch = 5;
  workload.steps = 4;
  ExpectSingleRanksBytes(RequestOf(workload, "pp=2,micro_batches=3", kApart));
}

// Holds that every bucket has been on its way before the end of the step.
class ReducedEarly : public Seams {
  class Reducer : public GradientReducer {
   public:
    using GradientReducer::GradientReducer;
    void Finish() override {
      for (const Bucket& bucket : buckets_) {
        EXPECT_TRUE(bucket.launched || bucket.kind != GradientKind::kRegular);
      }
      GradientReducer::Finish();
    }
  };
  std::unique_ptr<GradientReducer> MakeReducer(const RankContext& context, GradientArena& arena) override {
    return std::make_unique<Reducer>(context, arena);
  }
};

TEST(Executor, ReducesOverReplicasAtTheLastWeightGradientAndNotBefore) {
  ReducedEarly seams;
  protocol::Request request = RequestOf(Gpt(), "dp=2,pp=2,micro_batches=3,bucket_bytes=1024", kApart);
  Runs runs;
  const auto beside = runs.Run("beside", request, seams);
  request.plan.overlap = false;
  EXPECT_EQ(FirstDifference(beside, runs.Run("after", request)), "");
  EXPECT_LE(LargestError(beside, runs.folder() + "/beside"), kNoise);
}

TEST(Executor, RunsStagesThatStandTwice) {
  // The second half of the micro-batches goes through the ranks the other way round.
  const std::vector<std::string> lines = {"0F0,0F1,1F2,1B2,(1F3;1I3)OVERLAP_F_B,0B0,1W3,0B1",
                                          "0F2,0F3,1F0,1B0,(1F1;1I1)OVERLAP_F_B,0B2,1W1,0B3"};
  protocol::Workload workload = Gpt();
  workload.optimizer.clip_norm = 0.1;
  workload.global_batch = 9;
  for (const char* plan : {"pp=2,micro_batches=4", "dp=2,pp=2,tp=2,micro_batches=4"}) {
    Runs runs;
    protocol::Request request = RequestOf(workload, plan, lines, {{0, 1}, {0, 1}});
    const auto run = runs.Run("plan", request);
    EXPECT_LE(LargestError(run, runs.folder() + "/plan"), kNoise) << plan;
    EXPECT_EQ(run.ranks().front().steps[0].loss, run.ranks().back().steps[0].loss);
    const auto last = static_cast<std::int64_t>(run.ranks().size()) - 1;  // the same tensor rank, the other way round
    const std::int64_t first = request.plan.tensor - 1;
    for (const std::string tensor : {"grad/wte.weight", "grad/h.1.mlp.fc.bias", "param/h.2.attn.proj.weight"}) {
      EXPECT_EQ(run.Step(first, 1).Load(tensor).bytes, run.Step(last, 1).Load(tensor).bytes) << tensor;
    }
  }
}

TEST(Executor, ReportsThePlacementThatItBuilt) {
  Runs runs;
  const auto run = runs.Run("plan", RequestOf(Deep(), "pp=2,chunks=2,micro_batches=3,partition=1+1+1+1", kVApart, kV));
  for (const protocol::RankEvidence& rank : run.ranks()) {
    EXPECT_EQ(rank.hello.effective.placement, kV);
    EXPECT_EQ(rank.hello.effective.plan.chunks, 2);
  }
}

std::int64_t PeakActivations(const std::string& line) {
  Runs runs;
  const auto run = runs.Run("plan", RequestOf(Gpt(), "micro_batches=7", {line}));
  return run.ranks()[0].done->memory.categories.at("activations");
}

TEST(Executor, HoldsNoMoreForAWeightGradientThanForABackward) {
  std::string whole, split, late;
  for (int i = 0; i < 7; ++i) {
    const std::string n = std::to_string(i), comma = i == 0 ? "" : ",";
    whole += comma + "0F" + n + ",0B" + n;
    split += comma + "0F" + n + ",0I" + n + ",0W" + n;
    late += comma + "0F" + n + ",0I" + n;
  }
  for (int i = 0; i < 7; ++i) late += ",0W" + std::to_string(i);
  const double one = static_cast<double>(PeakActivations(whole));
  EXPECT_LE(static_cast<double>(PeakActivations(split)), 1.3 * one);  // a micro-batch at a time
  EXPECT_GE(static_cast<double>(PeakActivations(late)), 3 * one);     // all seven wait for their W
  EXPECT_LE(static_cast<double>(PeakActivations(late)), 1.05 * 7 * one);
}

TEST(Executor, NamesADeadlockInsteadOfWaitingForEver) {
  Runs runs;
  EXPECT_THROW(runs.Run("stuck", RequestOf(Mlp(), "pp=2,micro_batches=2", {"0F0,0B0,0F1,0B1", "1F0,1F1,1B0,1B1"})),
               device::CommunicationError);
}

}  // namespace
}  // namespace lockstep::trainer::testing
