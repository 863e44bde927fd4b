#include "harness/stalls/trace/kineto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "harness/protocol/bad_input.h"
#include "suites/unit/stalls_trace/torch_trace.h"

namespace lockstep::stalls {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

template <typename Act>
std::string RefusalOf(const Act& act) {
  try {
    act();
  } catch (const protocol::BadInput& error) {
    return error.what();
  }
  return "accepted";
}

// Rank 1 computes 30 us longer; both end each all-reduce together, 5 us after the later.
TorchTrace Replica(std::int64_t rank, const std::string& host = "node") {
  TorchTrace trace(rank, 2, host);
  const double computed = rank == 1 ? 70 : 40;
  for (std::int64_t step = 1; step <= 3; ++step) trace.Step(step, 100.0 * static_cast<double>(step), computed, 75);
  return trace;
}

double Microseconds(double seconds) { return std::round(seconds * 1e9) / 1e3; }

std::vector<std::string> Regions(const TracedRank& rank) {
  const std::array<const char*, 5> kNames{"F", "B", "optimizer", "data", "reduction"};
  std::vector<std::string> words;
  for (const TracedRegion& region : rank.regions) {
    const std::string micro_batch = region.micro_batch < 0 ? "" : std::to_string(region.micro_batch);
    words.push_back(kNames[static_cast<std::size_t>(region.kind)] + micro_batch + " " +
                    std::to_string((region.time.began - rank.steps[0].time.began) / 1000) + "-" +
                    std::to_string((region.time.ended - rank.steps[0].time.began) / 1000));
  }
  return words;
}

TEST(TorchTraceOfARank, IsItsStepsOperationsAndWaits) {
  TorchTrace trace(0, 2);
  trace.Step(5, 0, 40, 75);
  const TracedRank rank = trace.Rank();
  ASSERT_EQ(rank.steps.size(), 1u);
  EXPECT_EQ(rank.steps[0].number, 5);
  EXPECT_THAT(Regions(rank),
              ElementsAre("data 1-4", "F0 5-9", "B0 10-38", "reduction 39-40", "reduction 76-77", "optimizer 78-99"));
  ASSERT_EQ(rank.collectives.size(), 1u);
  EXPECT_EQ(rank.collectives[0].operation, "all_reduce");
  ASSERT_TRUE(rank.collectives[0].wait);
  EXPECT_EQ(rank.collectives[0].wait->length(), 35'000);
}

TEST(TorchTraceOfARank, CountsMicroBatchesByTheirBackwards) {
  TorchTrace trace(0, 1);
  trace.Note("ProfilerStep#1", 0, 100);
  trace.Op("aten::linear", 1, 5, 1).Op("aten::relu", 6, 8, 2).Backward(10, 12, 2).Backward(13, 20, 1);
  trace.Op("aten::linear", 30, 35, 3).Backward(40, 50, 3);
  EXPECT_THAT(Regions(trace.Rank()), ElementsAre("F0 1-8", "B0 10-20", "F1 30-35", "B1 40-50"));
}

TEST(TorchTraceOfARank, LeavesToTheHostWhatIsNotDifferentiated) {
  TorchTrace trace(0, 1);
  trace.Note("ProfilerStep#1", 0, 100);
  trace.Op("aten::linear", 10, 15, 1).Backward(20, 30, 1).Op("aten::item", 40, 60, 2);
  EXPECT_THAT(Regions(trace.Rank()), ElementsAre("F0 10-15", "B0 20-30"));
}

TEST(TorchTraceOfARank, CountsRecomputationInABackwardAsBackward) {
  TorchTrace trace(0, 1);
  trace.Note("ProfilerStep#1", 0, 100);
  trace.Op("aten::linear", 1, 5, 1).Backward(10, 40, 1).Op("aten::linear", 12, 20, 7).Backward(22, 30, 7);
  EXPECT_THAT(Regions(trace.Rank()), ElementsAre("F0 1-5", "B0 10-40"));
}

TEST(TorchTraceOfARank, ReadsBackwardsOfAutogradsOwnThread) {
  TorchTrace trace(0, 1);
  trace.Note("ProfilerStep#1", 0, 100).Op("aten::linear", 1, 5, 1);
  trace.Add("cpu_op", "autograd::engine::evaluate_function: AddmmBackward0", TorchTrace::kAutograd, 10, 40,
            {{"Sequence number", 1}});
  EXPECT_THAT(Regions(trace.Rank()), ElementsAre("F0 1-5", "B0 10-40"));
}

TEST(TorchTraceOfARank, TakesModulesOfDdpWithTheirForward) {
  TorchTrace trace(0, 1);
  trace.Note("ProfilerStep#1", 0, 100).Note("DistributedDataParallel.forward", 2, 30);
  trace.Op("aten::linear", 3, 5, 1).Op("aten::cross_entropy_loss", 32, 35, 2).Backward(40, 50, 1).Backward(51, 52, 2);
  EXPECT_THAT(Regions(trace.Rank()), ElementsAre("F0 2-35", "B0 40-52"));
}

TEST(TorchTraceOfARank, BelievesTheRankWhenABackendReportsItsEndLate) {
  TorchTrace trace(0, 2);
  trace.Note("ProfilerStep#1", 0, 100).Op("aten::linear", 1, 5, 1).Backward(10, 20, 1).AllReduce(21, 63);
  trace.Op("aten::as_strided", 60, 66);  // the rank has gone on
  const TracedRank rank = trace.Rank();
  ASSERT_TRUE(rank.collectives.at(0).wait);
  EXPECT_EQ(rank.collectives[0].wait->ended - rank.steps[0].time.began, 60'000);
  EXPECT_EQ(rank.collectives[0].time.ended - rank.steps[0].time.began, 60'000);
}

TEST(TorchTraceOfARank, FindsNoWaitForACollectiveThatEndsBesideComputation) {
  TorchTrace trace(0, 2);
  trace.Note("ProfilerStep#1", 0, 100).Op("aten::linear", 1, 5, 1).Backward(10, 20, 1).AllReduce(21, 50);
  trace.Op("aten::mm", 22, 80);
  EXPECT_FALSE(trace.Rank().collectives.at(0).wait);
}

TEST(TorchTraceOfARank, ConcludesTheEndOfACollectiveThatTheRecordingCutOff) {
  TorchTrace trace(0, 2);
  trace.Note("ProfilerStep#1", 0, 100).Op("aten::linear", 1, 5, 1).Backward(10, 20, 1).AllReduce(21, 500, false);
  trace.Op("torch.distributed.ddp.reducer::copy_bucket_to_grad", 60, 62).Note("Optimizer.step#SGD.step", 63, 90);
  const TracedRank rank = trace.Rank();
  EXPECT_EQ(rank.collectives.at(0).time.ended - rank.steps[0].time.began, 60'000);
  EXPECT_THAT(rank.doubts, ElementsAre(HasSubstr("end of all_reduce in step 2 was not recorded")));
}

TEST(TorchTraceOfARank, TakesStepsFromTheOptimizerWhereTheProfilerKnewOfNone) {
  TorchTrace trace(0, 1);
  trace.Op("aten::linear", 0, 5, 1).Backward(10, 20, 1).Note("Optimizer.step#SGD.step", 30, 40);
  trace.Op("aten::linear", 50, 55, 2).Backward(60, 70, 2).Note("Optimizer.step#SGD.step", 80, 90);
  const TracedRank rank = trace.Rank();
  ASSERT_EQ(rank.steps.size(), 2u);
  EXPECT_EQ(rank.steps[1].time.length(), 50'000);
  EXPECT_THAT(rank.doubts, ElementsAre(HasSubstr("not told of steps")));
}

TEST(TorchTraceOfARank, LeavesOutAStepThatTheRecordingCutOff) {
  TorchTrace trace(0, 2);
  trace.Step(1, 0, 40, 75).Note("ProfilerStep#2", 100, 120, false);
  const TracedRank rank = trace.Rank();
  EXPECT_EQ(rank.steps.size(), 1u);
  EXPECT_THAT(rank.doubts, ElementsAre(HasSubstr("still going on")));
}

TEST(TorchTraceOfARank, IsRefusedWhereItHoldsNoStepOfPyTorch) {
  EXPECT_THAT(RefusalOf([] { TorchTrace(0, 1).Op("aten::mm", 0, 1).Rank("other.json"); }),
              AllOf(HasSubstr("other.json"), HasSubstr("neither ProfilerStep#N nor Optimizer.step")));
  EXPECT_THAT(RefusalOf([] { TorchTrace(0, 1).Note("ProfilerStep#1", 0, 9, false).Rank(); }),
              HasSubstr("no whole step"));
}

TEST(TorchTraceOfAGpu, HasTheTimesOfItsKernels) {
  TorchTrace trace(0, 2);
  const auto launch = [&](double at, std::int64_t number, double began, double ended) {
    trace.Add("cuda_runtime", "cudaLaunchKernel", TorchTrace::kMain, at, at + 0.5, {{"correlation", number}});
    trace.Add("kernel", "gemm", 7, began, ended, {{"correlation", number}, {"stream", 7}});
  };
  trace.Note("ProfilerStep#1", 0, 30).Op("aten::linear", 1, 5, 1).Backward(6, 10, 1);
  trace.Note("Optimizer.step#SGD.step", 15, 20);
  launch(2, 100, 3, 20);
  launch(7, 101, 20, 50);
  launch(16, 103, 80, 90);
  trace.Add("cuda_runtime", "cudaLaunchKernel", TorchTrace::kMain, 11, 11.5, {{"correlation", 102}});
  trace.Add("kernel", "ncclDevKernel_AllReduce_Sum_f32_RING_LL", 20, 52, 78,
            {{"correlation", 102},
             {"Collective name", "allreduce"},
             {"Process Group Name", "0"},
             {"Process Group Ranks", "[0, 1]"}});
  trace.Note("ProfilerStep#2", 31, 60).Op("aten::linear", 32, 35, 2).Backward(36, 38, 2);
  launch(33, 110, 95, 99);
  const TracedRank rank = trace.Rank();
  EXPECT_TRUE(rank.device);
  EXPECT_THAT(Regions(rank), ElementsAre("F0 3-20", "B0 20-50", "optimizer 80-90", "F0 95-99", testing::_));
  EXPECT_EQ(rank.steps[0].time.length(), 90'000);
  EXPECT_EQ(rank.steps[1].time.began, rank.steps[0].time.ended);
  ASSERT_EQ(rank.collectives.size(), 1u);
  ASSERT_TRUE(rank.collectives[0].wait);
  EXPECT_EQ(rank.collectives[0].wait->length(), 26'000);
  EXPECT_THAT(rank.collectives[0].ranks, ElementsAre(0, 1));
}

TEST(TorchTraceOfAGpu, DoesNotWaitForACollectiveWhileNothingHadBeenLaunched) {
  TorchTrace trace(0, 2);
  const auto launch = [&](const std::string& name, double at, std::int64_t number, double began, double ended) {
    trace.Add("cuda_runtime", "cudaLaunchKernel", TorchTrace::kMain, at, at + 0.5, {{"correlation", number}});
    trace.Add("kernel", name, 7, began, ended, {{"correlation", number}});
  };
  trace.Note("ProfilerStep#1", 0, 100).Op("aten::linear", 1, 5, 1).Backward(6, 10, 1);
  launch("gemm", 7, 101, 10, 20);
  launch("ncclDevKernel_AllReduce_Sum_f32_RING_LL", 8, 102, 20, 50);
  launch("gemm", 80, 103, 81, 90);
  EXPECT_FALSE(trace.Rank().collectives.at(0).wait);
}

stalls::Run TwoRanks(const TorchTrace& first, const TorchTrace& second) {
  return RunOfTraces("two", {first.Rank("a.json"), second.Rank("b.json")});
}

TEST(TorchTraces, AreARunOfReplicas) {
  const auto run = TwoRanks(Replica(1), Replica(0));  // in any order
  EXPECT_EQ(run.plan.data, 2);
  EXPECT_EQ(run.first_step, 2);
  EXPECT_EQ(run.last_step, 4);
  EXPECT_EQ(run.ranks[1].clock.rank, 1);
  EXPECT_EQ(run.ranks[0].ops.size(), 6u);
  EXPECT_EQ(ToString(run.ranks[0].ops[1].action), "0B0");
  ASSERT_EQ(run.collectives.size(), 3u);
  for (const Collective& each : run.collectives) EXPECT_EQ(each.members[each.last].rank, 1);
  EXPECT_THAT(run.doubts, IsEmpty());
}

TEST(TorchTraces, OfTwoHostsAreAlignedWhereCollectivesEnd) {
  TorchTrace late(1, 2, "elsewhere");
  late.Shift(51'000);  // a clock that is 50 ms ahead
  for (std::int64_t step = 1; step <= 3; ++step) {
    late.Step(step, 100.0 * static_cast<double>(step), 70, 75 + static_cast<double>(step - 2));
  }
  const auto run = TwoRanks(Replica(0), late);
  EXPECT_NEAR(Microseconds(run.ranks[1].clock.offset_seconds), -50'000, 0.01);
  EXPECT_NEAR(Microseconds(run.ranks[1].clock.uncertainty_seconds), 1, 0.01);
  EXPECT_NEAR(Microseconds(run.ranks[0].steps[0].time.began), Microseconds(run.ranks[1].steps[0].time.began), 0.01);
  EXPECT_THAT(run.doubts, ElementsAre(AllOf(HasSubstr("aligned at the ends of 3 collectives"), HasSubstr("0.001 ms"))));
}

TEST(TorchTraces, OfOneHostKeepTheirClockWhereNothingContradictsIt) {
  const auto run = TwoRanks(Replica(0), Replica(1));
  EXPECT_EQ(run.ranks[1].clock.offset_seconds, 0);
  EXPECT_EQ(run.ranks[1].clock.uncertainty_seconds, 0);
}

TEST(TorchTraces, DoNotHoldCollectivesAgainstEachOtherThatDiffer) {
  TorchTrace other = Replica(1);
  other.AllReduce(395, 396);
  const auto run = TwoRanks(Replica(0), other);
  EXPECT_EQ(run.collectives.size(), 2u);
  EXPECT_THAT(run.doubts, Contains(HasSubstr("differ in the collectives of step 4")));
}

TEST(TorchTraces, AreHeldAgainstEachOtherInTheStepsThatAllHave) {
  TorchTrace longer = Replica(1);
  longer.Step(4, 400, 70, 75);
  EXPECT_EQ(TwoRanks(Replica(0), longer).last_step, 4);
  TorchTrace apart(1, 2);
  apart.Step(7, 0, 40, 50);
  EXPECT_THAT(RefusalOf([&] { TwoRanks(Replica(0), apart); }), HasSubstr("no step in common"));
}

TEST(TorchTraces, AreRefusedWhereARankIsMissingOrThereTwice) {
  EXPECT_THAT(RefusalOf([] { RunOfTraces("one", {Replica(0).Rank("a.json")}); }),
              AllOf(HasSubstr("a.json"), HasSubstr("2 ranks"), HasSubstr("no trace of rank 1")));
  EXPECT_THAT(RefusalOf([] { TwoRanks(Replica(0), Replica(0)); }),
              AllOf(HasSubstr("b.json"), HasSubstr("as a.json is")));
  TorchTrace silent;
  silent.Step(1, 0, 40, 50);
  EXPECT_THAT(RefusalOf([&] { TwoRanks(Replica(0), silent); }), HasSubstr("does not say its rank"));
}

TEST(TorchTraces, ThatDontSayTheirRankAreTakenInTheOrderGiven) {
  TorchTrace silent;
  silent.Step(1, 0, 40, 50);
  EXPECT_THAT(TwoRanks(silent, silent).doubts, Contains(HasSubstr("in the order given")));
}

TEST(TorchTraces, AreRefusedWhereLockstepWroteThem) {
  const std::string file = testing::TempDir() + "own.json";
  std::ofstream(file) << R"({"otherData": {"made by": "lockstep 0.1.0"}, "traceEvents": []})";
  EXPECT_THAT(RefusalOf([&] { ReadTraces({file}); }), HasSubstr("written by Lockstep itself"));
}

}  // namespace
}  // namespace lockstep::stalls
