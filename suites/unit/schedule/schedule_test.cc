#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/generate.h"
#include "harness/schedule/verify.h"

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;
using ::testing::HasSubstr;

protocol::Schedule FromText(std::int64_t stages, std::int64_t micro_batches, const std::vector<std::string>& lines) {
  protocol::Schedule schedule{"test", stages, micro_batches, {}};
  for (const std::string& line : lines) schedule.ranks.push_back(protocol::ParseActions(line, "test"));
  return schedule;
}

TEST(Generators, AreRightOnEveryShapeUpToEightStagesAndSixteenMicroBatches) {
  for (const Generator* generator : AllGenerators()) {
    for (std::int64_t p = 2; p <= 8; ++p) {
      for (std::int64_t v = 1; v <= generator->max_chunks; ++v) {
        for (std::int64_t m = 1; m <= 16; ++m) {
          const protocol::Schedule schedule{generator->name, p * v, m, generator->make({p, v, m})};
          EXPECT_EQ(FirstProblem(schedule), "") << generator->name << " p=" << p << " v=" << v << " m=" << m;
        }
      }
    }
  }
}

TEST(Generators, OneFOneBIsWhatThePaperDraws) {
  protocol::Plan plan;
  plan.pipeline = 2;
  plan.micro_batches = 3;
  const protocol::Schedule schedule = Generate(plan);
  EXPECT_EQ(ToString(schedule.ranks[0]), "0F0,0F1,0B0,0F2,0B1,0B2");
  EXPECT_EQ(ToString(schedule.ranks[1]), "1F0,1B0,1F1,1B1,1F2,1B2");
}

TEST(Generators, OneFOneBHoldsAtMostPMinusRMicroBatches) {
  protocol::Plan plan;
  plan.pipeline = 4;
  plan.micro_batches = 9;
  const protocol::Schedule schedule = Generate(plan);
  for (std::size_t rank = 0; rank < 4; ++rank) {
    int live = 0, peak = 0;
    for (const Action& action : schedule.ranks[rank]) {
      live += action.kind == ActionKind::kForward ? 1 : -1;
      peak = std::max(peak, live);
    }
    EXPECT_EQ(peak, 4 - static_cast<int>(rank));
  }
}

TEST(Generators, OneStageRunsEachBackwardAfterItsForward) {
  protocol::Plan plan;
  plan.data = 2;
  plan.micro_batches = 2;
  plan.schedule = "gpipe";
  EXPECT_EQ(ToString(Generate(plan).ranks.at(0)), "0F0,0B0,0F1,0B1");
}

TEST(Generators, RefuseAMisspeltNameWithTheNearest) {
  protocol::Plan plan;
  plan.schedule = "gpip";
  try {
    Generate(plan);
    FAIL() << "accepted";
  } catch (const protocol::BadInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'gpipe'"));
  }
}

TEST(Generators, RefuseMoreChunksThanTheyLayOut) {
  protocol::Plan plan;
  plan.pipeline = 2;
  plan.chunks = 2;
  EXPECT_THROW(Generate(plan), protocol::BadInput);
}

TEST(Verifier, RefusesABackwardExecutedTwice) {
  EXPECT_THAT(FirstProblem(FromText(1, 1, {"0F0,0B0,0B0"})), HasSubstr("position 2, 0B0: executed twice"));
}

TEST(Verifier, RefusesAForwardThatIsNeverComputed) {
  EXPECT_THAT(FirstProblem(FromText(2, 2, {"0F0,0F1,0B0,0B1", "1F0,1B0"})),
              HasSubstr("stage 1, micro-batch 1: the forward is never computed"));
}

TEST(Verifier, RefusesAWeightGradientThatIsNeverComputed) {
  EXPECT_THAT(FirstProblem(FromText(1, 1, {"0F0,0I0"})), HasSubstr("weight gradient is never computed"));
}

TEST(Verifier, RefusesAWeightGradientBeforeItsInputGradient) {
  EXPECT_THAT(FirstProblem(FromText(1, 1, {"0F0,0W0,0I0"})), HasSubstr("0W0: waits for 0I0"));
}

TEST(Verifier, RefusesABackwardBeforeItsForward) {
  EXPECT_THAT(FirstProblem(FromText(1, 1, {"0B0,0F0"})), HasSubstr("0B0: waits for 0F0"));
}

TEST(Verifier, RefusesAStageOnAnotherRank) {
  EXPECT_THAT(FirstProblem(FromText(2, 1, {"1F0,1B0", "0F0,0B0"})), HasSubstr("stage 1 stands on rank 1"));
}

TEST(Verifier, RefusesADeadlockAcrossRanks) {
  EXPECT_THAT(FirstProblem(FromText(2, 2, {"0F0,0B0,0F1,0B1", "1F0,1F1,1B0,1B1"})), HasSubstr("deadlock"));
}

TEST(Verifier, RefusesAReceiveWithoutItsSend) {
  EXPECT_THAT(FirstProblem(FromText(2, 1, {"0F0,0RECV_B0,0B0", "1RECV_F0,1F0,1B0,1SEND_B0"})),
              HasSubstr("waits for 0SEND_F0, which is not in the schedule"));
}

TEST(Verifier, AcceptsTransfersInTheText) {
  EXPECT_EQ(FirstProblem(FromText(2, 1, {"0F0,0SEND_F0,0RECV_B0,0B0", "1RECV_F0,1F0,1B0,1SEND_B0"})), "");
}

TEST(Verifier, AcceptsASplitBackward) { EXPECT_EQ(FirstProblem(FromText(2, 1, {"0F0,0I0,0W0", "1F0,1I0,1W0"})), ""); }

}  // namespace
}  // namespace lockstep::schedule
