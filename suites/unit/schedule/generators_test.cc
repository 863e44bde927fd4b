#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/lower.h"
#include "harness/schedule/verify.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;
using ::testing::HasSubstr;

constexpr unsigned kSeed = 20240117;

std::string RefusalOf(const std::string& plan) {
  try {
    Generate(protocol::ParsePlan(plan));
  } catch (const protocol::BadInput& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Generators, AreThoseThatTheSchedulesPageNames) {
  std::vector<std::string> names;
  for (const Generator* generator : AllGenerators()) names.push_back(generator->name);
  for (const char* name :
       {"gpipe", "1f1b", "interleaved_1f1b", "looped_bfs", "zb_h1", "zb_h2", "zb_v", "dualpipe", "dualpipe_v"}) {
    EXPECT_THAT(names, ::testing::Contains(name));
  }
}

TEST(Generators, AreRightOnEveryShapeUpToEightRanksAndSixteenMicroBatches) {
  std::vector<std::int64_t> all(16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i) + 1;
  for (const Generator* generator : AllGenerators()) {
    int shapes = 0;
    ForEachShape(
        *generator, 8, 3, [&](auto) { return all; },
        [&](const Shape& shape) {
          ++shapes;
          EXPECT_EQ(FirstProblem(Make(generator->name, shape)), "") << Describe(*generator, shape);
        });
    EXPECT_GE(shapes, 10) << generator->name;
  }
}

TEST(Generators, AreRightOnAHundredShapesEachWithTransfersAndWithout) {
  for (const Generator* generator : AllGenerators()) {
    for (const Shape& shape : RandomShapes(*generator, 100, kSeed)) {
      const protocol::Schedule schedule = Make(generator->name, shape);
      EXPECT_EQ(FirstProblem(schedule), "") << Describe(*generator, shape);
      const protocol::Schedule lowered = WithTransfers(schedule);
      EXPECT_EQ(FirstProblem(lowered), "") << Describe(*generator, shape);
      EXPECT_EQ(ComputeOnly(lowered), schedule) << Describe(*generator, shape);
    }
  }
}

TEST(Generators, OneFOneBIsWhatThePaperDraws) {
  const protocol::Schedule schedule = Generate(protocol::ParsePlan("pp=2,m=3"));
  EXPECT_EQ(ToString(schedule.ranks[0]), "0F0,0F1,0B0,0F2,0B1,0B2");
  EXPECT_EQ(ToString(schedule.ranks[1]), "1F0,1B0,1F1,1B1,1F2,1B2");
}

TEST(Generators, InterleavedTakesAGroupThroughEveryChunkOfARank) {
  const protocol::Schedule schedule = Generate(protocol::ParsePlan("pp=2,v=2,m=4,schedule=interleaved_1f1b"));
  EXPECT_EQ(ToString(schedule.ranks[0]), "0F0,0F1,2F0,2F1,0F2,2B0,0F3,2B1,2F2,0B0,2F3,0B1,2B2,2B3,0B2,0B3");
  EXPECT_EQ(ToString(schedule.ranks[1]), "1F0,1F1,3F0,3B0,3F1,3B1,1F2,1B0,1F3,1B1,3F2,3B2,3F3,3B3,1B2,1B3");
}

TEST(Generators, ZeroBubbleDefersTheWeightGradientsOfRankRByR) {
  const protocol::Schedule schedule = Generate(protocol::ParsePlan("pp=3,m=4,schedule=zb_h1"));
  EXPECT_EQ(ToString(schedule.ranks[0]), "0F0,0F1,0F2,0I0,0W0,0F3,0I1,0W1,0I2,0W2,0I3,0W3");
  EXPECT_EQ(ToString(schedule.ranks[2]), "2F0,2I0,2F1,2I1,2F2,2I2,2W0,2F3,2I3,2W1,2W2,2W3");
}

TEST(Generators, ZbVPutsTheFirstAndTheLastStageOnRankZero) {
  const protocol::Schedule schedule = Generate(protocol::ParsePlan("pp=2,v=2,m=3,schedule=zb_v"));
  EXPECT_EQ(schedule.placement, (Placement{{0, 3}, {1, 2}}));
  EXPECT_EQ(ToString(schedule.ranks[0]), "0F0,0F1,0F2,3F0,3I0,3W0,3F1,3I1,3W1,0I0,0W0,3F2,3I2,3W2,0I1,0W1,0I2,0W2");
}

TEST(Generators, DualPipeHasEveryStageOnTwoRanksAndFeedsBothEnds) {
  const protocol::Schedule schedule = Generate(protocol::ParsePlan("pp=2,m=4,schedule=dualpipe"));
  EXPECT_EQ(schedule.stages, 2);
  EXPECT_EQ(schedule.placement, (Placement{{0, 1}, {1, 0}}));
  // The first half of the micro-batches enters at rank 0, the second half at rank 1.
  EXPECT_EQ(ToString(schedule.ranks[0]), "0F0,1F2,0F1,1B2,(1F3;0B0)OVERLAP_F_B,1B3,0I1,0W1");
  EXPECT_EQ(ToString(schedule.ranks[1]), "0F2,1F0,0F3,1B0,(1F1;0B2)OVERLAP_F_B,1B1,0I3,0W3");
}

TEST(Generators, GradientsAreAccumulatedInTheOrderOfMicroBatches) {
  for (const Generator* generator : AllGenerators()) {
    for (const Shape& shape : RandomShapes(*generator, 20, kSeed + 1)) {
      const protocol::Schedule schedule = Make(generator->name, shape);
      for (const auto& line : schedule.ranks) {
        std::map<std::int64_t, std::int64_t> last;  // of each stage
        for (const Action& action : line) {
          if (action.kind != ActionKind::kBackward && action.kind != ActionKind::kWeightGradient) continue;
          const auto [before, first] = last.emplace(action.stage, action.micro_batch);
          EXPECT_TRUE(first || before->second < action.micro_batch) << Describe(*generator, shape);
          before->second = action.micro_batch;
        }
      }
    }
  }
}

TEST(Generators, OneStageRunsEachBackwardAfterItsForward) {
  EXPECT_EQ(ToString(Generate(protocol::ParsePlan("dp=2,m=2,schedule=gpipe")).ranks.at(0)), "0F0,0B0,0F1,0B1");
}

TEST(Generators, RefuseAMisspeltNameWithTheNearest) {
  EXPECT_THAT(RefusalOf("schedule=gpip"), HasSubstr("did you mean 'gpipe'"));
}

TEST(Generators, RefuseShapesThatTheyCanNotLayOut) {
  EXPECT_THAT(RefusalOf("pp=2,v=2,m=2"), HasSubstr("'1f1b' lays out exactly 1 chunk a rank, not 2"));
  EXPECT_THAT(RefusalOf("pp=2,m=2,schedule=zb_v"), HasSubstr("lays out exactly 2 chunks a rank, not 1"));
  EXPECT_THAT(RefusalOf("pp=2,m=2,schedule=looped_bfs"), HasSubstr("lays out at least 2 chunks a rank, not 1"));
  EXPECT_THAT(RefusalOf("pp=2,v=2,m=5,schedule=interleaved_1f1b"),
              HasSubstr("2 equal groups of at least 2; 5 are not"));
  EXPECT_THAT(RefusalOf("pp=3,m=6,schedule=dualpipe"), HasSubstr("an even number of ranks, not 3"));
  EXPECT_THAT(RefusalOf("pp=4,m=6,schedule=dualpipe"), HasSubstr("at least 8 on 4 ranks, not 6"));
  EXPECT_THAT(RefusalOf("pp=4,m=9,schedule=dualpipe"), HasSubstr("an even number of micro-batches"));
  EXPECT_THAT(RefusalOf("pp=2,v=2,m=3,schedule=dualpipe_v"), HasSubstr("as stages, 4, not 3"));
}

}  // namespace
}  // namespace lockstep::schedule
