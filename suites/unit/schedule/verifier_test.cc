#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/schedule/verify.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string ProblemOn(const Channels& channels, const protocol::Schedule& schedule) {
  const auto problem = Verify(schedule, {channels});
  return problem ? ToString(*problem) : "";
}

const Channels kUnbounded{ChannelKind::kUnbounded, 1}, kOne{ChannelKind::kBounded, 1}, kTwo{ChannelKind::kBounded, 2},
    kRendezvous{ChannelKind::kRendezvous, 1};

// --- The six inputs that known checkers accept, and the one that they reject
// ------------------------------------------

TEST(PipelineVerifier, RefusesABackwardExecutedTwice) {
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0F0,0B0,0B0"})),
              StartsWith("rank 0, position 2, 0B0: executed twice; the first is 0B0 (rank 0, position 1)"));
}

TEST(PipelineVerifier, RefusesAWeightGradientThatIsNeverComputed) {
  EXPECT_EQ(FirstProblem(FromLines(2, 1, {"0F0,0I0,0W0", "1F0,1I0"})),
            "rank 1, position 1, 1I0: its weight gradient, 1W0, is never computed");
}

TEST(PipelineVerifier, RefusesAWeightGradientBeforeItsInputGradient) {
  EXPECT_EQ(FirstProblem(FromLines(1, 1, {"0F0,0W0,0I0"})),
            "rank 0, position 1, 0W0: stands before 0I0 (rank 0, position 2), which it needs");
}

TEST(PipelineVerifier, RefusesAComputeOrderThatLacksACrossStageDependency) {
  // Each line alone is right; together rank 0 wants the gradient of micro-batch 0 before it feeds micro-batch 1, and
  // rank 1 wants micro-batch 1 before it computes that gradient.
  EXPECT_EQ(FirstProblem(FromLines(2, 2, {"0F0,0B0,0F1,0B1", "1F0,1F1,1B0,1B1"})),
            "rank 0, position 1, 0B0: deadlock: waits for 1B0 (rank 1, position 2), which comes after 1F1; "
            "1F1 (rank 1, position 1) waits for 0F1 (rank 0, position 2), which comes after 0B0");
  // With transfers in the text: stage 1 computes with what nobody received.
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0F0,0RECV_B0,0B0", "1F0,1B0,1SEND_B0"})),
              StartsWith("rank 1, position 0, 1F0: needs what stage 0 computes on rank 0, and 1RECV_F0 is not in the "
                         "schedule"));
}

TEST(PipelineVerifier, RefusesReceivesInAnotherOrderThanAChannelDelivers) {
  const protocol::Schedule swapped = FromLines(
      2, 2,
      {"0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1", "1RECV_F1,1RECV_F0,1F0,1F1,1B0,1SEND_B0,1B1,1SEND_B1"});
  EXPECT_EQ(ProblemOn(kUnbounded, swapped),
            "rank 1, position 0, 1RECV_F1: comes upon the message of 0SEND_F0 (rank 0, position 1): rank 0 sends it "
            "before 0SEND_F1 (rank 0, position 3), and the channel is first in, first out");
}

TEST(PipelineVerifier, RefusesThatBothRanksSendBeforeTheyReceiveUnderRendezvous) {
  const protocol::Schedule schedule = FromLines(
      2, 2,
      {"0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1", "1RECV_F0,1F0,1B0,1SEND_B0,1RECV_F1,1F1,1B1,1SEND_B1"});
  EXPECT_EQ(ProblemOn(kUnbounded, schedule), "");
  EXPECT_EQ(ProblemOn(kOne, schedule), "");
  EXPECT_EQ(ProblemOn(kRendezvous, schedule),
            "rank 0, position 3, 0SEND_F1: deadlock on rendezvous channels: waits for 1RECV_F1 (rank 1, position 4), "
            "which comes after 1SEND_B0; 1SEND_B0 (rank 1, position 3) waits for 0RECV_B0 (rank 0, position 4), which "
            "comes after 0SEND_F1");
  EXPECT_EQ(FirstProblem(schedule), ProblemOn(kRendezvous, schedule));
}

TEST(PipelineVerifier, RefusesAReceiveWithoutItsSend) {
  EXPECT_EQ(FirstProblem(FromLines(2, 1, {"0F0,0RECV_B0,0B0", "1RECV_F0,1F0,1B0,1SEND_B0"})),
            "rank 1, position 0, 1RECV_F0: nobody sends it: 0SEND_F0 is not in the schedule");
}

// --- Channels
// ---------------------------------------------------------------------------------------------------------

TEST(PipelineVerifier, LetsABoundedChannelHoldWhatNobodyHasReceivedYet) {
  const protocol::Schedule schedule =
      FromLines(2, 3,
                {"0F0,0SEND_F0,0F1,0SEND_F1,0F2,0SEND_F2,0RECV_B2,0B2,0RECV_B1,0B1,0RECV_B0,0B0",
                 "1RECV_F0,1F0,1RECV_F1,1F1,1RECV_F2,1F2,1B2,1SEND_B2,1B1,1SEND_B1,1B0,1SEND_B0"});
  EXPECT_EQ(FirstProblem(schedule), "");
  protocol::Schedule late = schedule;
  // Each sends before it takes what the other one sent: one message is on its way each way, and that is enough.
  late.ranks[0] =
      protocol::ParseActions("0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1,0F2,0SEND_F2,0RECV_B2,0B2", "t");
  late.ranks[1] =
      protocol::ParseActions("1RECV_F0,1F0,1B0,1SEND_B0,1RECV_F1,1F1,1B1,1SEND_B1,1RECV_F2,1F2,1B2,1SEND_B2", "t");
  EXPECT_EQ(ProblemOn(kUnbounded, late), "");
  EXPECT_EQ(ProblemOn(kTwo, late), "");
  EXPECT_EQ(ProblemOn(kOne, late), "");
  EXPECT_THAT(ProblemOn(kRendezvous, late), HasSubstr("0SEND_F1: deadlock on rendezvous channels"));
}

TEST(PipelineVerifier, FindsTheChannelThatIsTooShort) {
  // Four messages go down before rank 0 takes the first gradient; rank 1 takes two, and is then stuck with its own.
  const protocol::Schedule schedule = FromLines(
      2, 4,
      {"0F0,0SEND_F0,0F1,0SEND_F1,0F2,0SEND_F2,0F3,0SEND_F3,0RECV_B0,0B0,0RECV_B1,0B1,0RECV_B2,0B2,0RECV_B3,0B3",
       "1RECV_F0,1F0,1B0,1SEND_B0,1RECV_F1,1F1,1B1,1SEND_B1,1RECV_F2,1F2,1B2,1SEND_B2,1RECV_F3,1F3,1B3,1SEND_B3"});
  EXPECT_EQ(ProblemOn(kUnbounded, schedule), "");
  EXPECT_EQ(ProblemOn(kTwo, schedule), "");
  EXPECT_EQ(ProblemOn(kOne, schedule),
            "rank 0, position 7, 0SEND_F3: deadlock on bounded 1 channels: waits for 1RECV_F2 (rank 1, position 8), "
            "which comes after 1SEND_B1; 1SEND_B1 (rank 1, position 7) waits for 0RECV_B0 (rank 0, position 8), which "
            "comes after 0SEND_F3");
}

TEST(PipelineVerifier, NamesLongCyclesWithoutFlooding) {
  // Rank 0 wants the second round's first stage before it has done the first round's.
  protocol::Schedule ring{"ring", 18, 1, {protocol::ParseActions("9F0,0F0,9B0,0B0", "t")}, {}};
  for (std::int64_t r = 1; r < 9; ++r) {
    const std::string first = std::to_string(r), second = std::to_string(9 + r);
    ring.ranks.push_back(protocol::ParseActions(first + "F0," + second + "F0," + second + "B0," + first + "B0", "t"));
  }
  EXPECT_THAT(FirstProblem(ring), AllOf(HasSubstr("deadlock: waits for"), HasSubstr("more ranks")));
}

// --- Everything else
// --------------------------------------------------------------------------------------------------

TEST(PipelineVerifier, RefusesWhatIsNotThere) {
  EXPECT_EQ(FirstProblem(FromLines(2, 2, {"0F0,0F1,0B0,0B1", "1F0,1B0"})),
            "rank 0, position 1, 0F1: the forward of its micro-batch on stage 1, 1F1, is never computed");
  EXPECT_EQ(FirstProblem(FromLines(1, 2, {"0F0,0B0,0F1"})),
            "rank 0, position 2, 0F1: its backward, 0B1, is never computed");
  EXPECT_EQ(FirstProblem(FromLines(1, 1, {"0F0,0W0"})),
            "rank 0, position 1, 0W0: its input gradient, 0I0, is never computed");
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0F0,0F1,0B0"})),
              StartsWith("rank 0, position 1, 0F1: there is no such micro-batch; there are 1"));
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0F0,1F0,0B0"})),
              StartsWith("rank 0, position 1, 1F0: there is no such stage; there are 1"));
  EXPECT_EQ(FirstProblem(FromLines(2, 1, {})), "is empty");
}

TEST(PipelineVerifier, IsNotImpressedByLargeNumbers) {
  EXPECT_THAT(FirstProblem(FromLines(1, std::int64_t{1} << 60, {"0F0,0B0"})),
              HasSubstr("micro-batch 1: the forward, 0F1, is never computed"));
  EXPECT_THAT(FirstProblem(FromLines(std::int64_t{1} << 60, 1, {"0F0,0B0"})), HasSubstr("stages, and fewer actions"));
}

TEST(PipelineVerifier, RefusesBackwardsBothWholeAndInParts) {
  EXPECT_EQ(FirstProblem(FromLines(1, 1, {"0F0,0B0,0W0"})),
            "rank 0, position 2, 0W0: the backward is computed whole, 0B0 (rank 0, position 1), and in parts");
}

TEST(PipelineVerifier, RefusesABackwardBeforeItsForward) {
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0B0,0F0"})), HasSubstr("0B0: stands before 0F0"));
}

TEST(PipelineVerifier, HoldsEveryStageToItsPlace) {
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"1F0,1B0", "0F0,0B0"})), HasSubstr("1F0: stage 1 stands on rank 1"));
  EXPECT_EQ(FirstProblem(FromLines(2, 1, {"1F0,1B0", "0F0,0B0"}, {{1}, {0}})), "");
  EXPECT_THAT(FirstProblem(FromLines(3, 1, {"0F0,0B0,2F0,2B0", "1F0,1B0"})),
              HasSubstr("3 stages do not divide over 2 ranks"));
  EXPECT_EQ(FirstProblem(FromLines(3, 1, {"0F0,2F0,2B0,0B0", "1F0,1B0"}, {{0, 2}, {1}})), "");
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0F0,0B0", ""}, {{0}, {0}})), HasSubstr("stage 1 stands on no rank"));
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0F0,0B0"}, {{0, 0}})), HasSubstr("stage 0 stands twice on rank 0"));
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0F0,0B0"}, {{0}, {0}})), HasSubstr("not of as many ranks"));
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0F0,0B0"}, {{1}})), HasSubstr("there is no stage 1"));
}

TEST(PipelineVerifier, LetsAMicroBatchPassAStageOnOneOfItsRanksOnly) {
  const Placement both{{0, 1}, {1, 0}};
  EXPECT_EQ(FirstProblem(FromLines(2, 2, {"0F0,1F1,1B1,0B0", "0F1,1F0,1B0,0B1"}, both)), "");
  EXPECT_THAT(FirstProblem(FromLines(2, 2, {"0F0,1F1,1B1,0B1", "0F1,1F0,1B0,0B0"}, both)),
              HasSubstr("0B0: the forward of this micro-batch is on another rank, 0F0 (rank 0, position 0)"));
  EXPECT_THAT(FirstProblem(FromLines(2, 2, {"0F0,1F1,1B1,0B0", "0F1,1F0,0F0,1B0,0B1"}, both)),
              HasSubstr("executed twice"));
}

TEST(PipelineVerifier, AcceptsSplitAndFusedBackwards) {
  EXPECT_EQ(FirstProblem(FromLines(2, 1, {"0F0,0I0,0W0", "1F0,1I0,1W0"})), "");
  EXPECT_EQ(FirstProblem(FromLines(1, 2, {"0F0,(0F1;0B0)OVERLAP_F_B,0B1"})), "");
}

TEST(PipelineVerifier, RefusesAFusedPairThatNeedsItself) {
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"(0F0;0B0)OVERLAP_F_B"})),
              HasSubstr("position 0, 0B0: is fused with 0F0, which it needs"));
  // Over another rank: the backward needs a gradient that needs the forward of the same pair.
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"(0F0;0B0)OVERLAP_F_B", "1F0,1B0"})), HasSubstr("is fused with 0F0"));
  EXPECT_THAT(FirstProblem(FromLines(3, 1, {"0F0,(2F0;0B0)OVERLAP_F_B,2B0", "1F0,1B0"}, {{0, 2}, {1}})),
              HasSubstr("deadlock"));
  protocol::Schedule open = FromLines(1, 1, {"0F0,0B0"});
  open.ranks[0][1].with_next = true;
  EXPECT_THAT(FirstProblem(open), HasSubstr("0B0: is fused with nothing"));
}

TEST(PipelineVerifier, AcceptsTransfersInTheText) {
  EXPECT_EQ(FirstProblem(FromLines(2, 1, {"0F0,0SEND_F0,0RECV_B0,0B0", "1RECV_F0,1F0,1B0,1SEND_B0"})), "");
}

TEST(PipelineVerifier, RefusesTransfersThatLeadNowhere) {
  const std::string rank1 = "1RECV_F0,1F0,1B0,1SEND_B0";
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0F0,0SEND_F0,0SEND_B0,0RECV_B0,0B0", rank1})),
              HasSubstr("0SEND_B0: there is no stage -1"));
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0F0,0SEND_F0,0RECV_B0,0B0", rank1 + ",1RECV_B0"})),
              HasSubstr("1RECV_B0: there is no stage 2"));
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0F0,0SEND_F0,1RECV_F0,1F0,1B0,0B0"}, {{0, 1}})),
              HasSubstr("0SEND_F0: stages 0 and 1 are on one rank"));
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0F0,0SEND_F0,0B0", "1RECV_F0,1F0,1B0"})),
              HasSubstr("0B0: needs what stage 1 computes on rank 1, and 0RECV_B0 is not"));
}

TEST(PipelineVerifier, RefusesTransfersOutOfTheirPlaceInALine) {
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0SEND_F0,0F0,0RECV_B0,0B0", "1RECV_F0,1F0,1B0,1SEND_B0"})),
              HasSubstr("0SEND_F0: stands before 0F0"));
  EXPECT_THAT(FirstProblem(FromLines(2, 1, {"0F0,0SEND_F0,0B0,0RECV_B0", "1RECV_F0,1F0,1B0,1SEND_B0"})),
              HasSubstr("0B0: stands before 0RECV_B0"));
}

TEST(PipelineVerifier, HoldsWhatConcernsWholeStagesToItsOrder) {
  EXPECT_EQ(FirstProblem(FromLines(1, 1, {"0UNSHARD,0F0,0RESHARD,0UNSHARD,0B0,0REDUCE_GRAD,0RESHARD,0OPTIMIZER"})), "");
  const auto refusal = [](const std::string& line) { return FirstProblem(FromLines(1, 1, {line})); };
  EXPECT_THAT(refusal("0F0,0UNSHARD,0B0"), HasSubstr("position 0, 0F0: runs while the stage is not gathered"));
  EXPECT_THAT(refusal("0UNSHARD,0F0,0RESHARD,0B0"), HasSubstr("0B0: runs while the stage is not gathered"));
  EXPECT_THAT(refusal("0UNSHARD,0UNSHARD,0F0,0B0"), HasSubstr("position 1, 0UNSHARD: the stage is gathered already"));
  EXPECT_THAT(refusal("0F0,0B0,0RESHARD"), HasSubstr("0RESHARD: the stage is not gathered"));
  EXPECT_THAT(refusal("0F0,0REDUCE_GRAD,0B0"), HasSubstr("0REDUCE_GRAD: stands before 0B0"));
  EXPECT_THAT(refusal("0F0,0B0,0REDUCE_GRAD,0REDUCE_GRAD"), HasSubstr("executed twice"));
  EXPECT_THAT(refusal("0F0,0I0,0OPTIMIZER,0W0"), HasSubstr("0OPTIMIZER: stands before 0W0"));
  EXPECT_THAT(refusal("0F0,0B0,0OPTIMIZER,0REDUCE_GRAD"),
              HasSubstr("0REDUCE_GRAD: stands after the stage's OPTIMIZER"));
}

TEST(PipelineVerifier, WantsTheGradientsOfAStageOnTwoRanksReduced) {
  const Placement both{{0, 1}, {1, 0}};
  const std::string down = "0F0,1F1,1B1,0B0", up = "0F1,1F0,1B0,0B1";
  EXPECT_EQ(
      FirstProblem(FromLines(2, 2, {down + ",0REDUCE_GRAD,1REDUCE_GRAD", up + ",0REDUCE_GRAD,1REDUCE_GRAD"}, both)),
      "");
  EXPECT_THAT(
      FirstProblem(FromLines(2, 2, {down + ",0REDUCE_GRAD,1REDUCE_GRAD", up + ",1REDUCE_GRAD,0REDUCE_GRAD"}, both)),
      HasSubstr("0REDUCE_GRAD: deadlock"));
  EXPECT_THAT(FirstProblem(FromLines(2, 2, {down + ",0REDUCE_GRAD", up}, both)),
              HasSubstr("0REDUCE_GRAD: rank 1 holds the stage too, and never comes to its REDUCE_GRAD"));
  EXPECT_THAT(FirstProblem(FromLines(2, 2, {down + ",0OPTIMIZER", up + ",0OPTIMIZER"}, both)),
              HasSubstr("0OPTIMIZER: stands before the stage's REDUCE_GRAD"));
}

TEST(PipelineVerifier, HoldsRecomputationBetweenForwardAndBackward) {
  EXPECT_EQ(FirstProblem(FromLines(1, 1, {"0F0,0RECOMPUTE0,0B0"})), "");
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0RECOMPUTE0,0F0,0B0"})), HasSubstr("0RECOMPUTE0: stands before 0F0"));
  EXPECT_THAT(FirstProblem(FromLines(1, 1, {"0F0,0B0,0RECOMPUTE0"})), HasSubstr("0B0: stands before 0RECOMPUTE0"));
}

TEST(PipelineVerifier, IsReadyForSixtyFourStagesAndAThousandMicroBatches) {
  for (const char* name : {"1f1b", "zb_h1"}) EXPECT_EQ(FirstProblem(Make(name, {64, 1, 1024})), "") << name;
}

}  // namespace
}  // namespace lockstep::schedule
