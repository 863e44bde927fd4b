// How often a delay comes in a step: as often as the trainer passes the place where it sleeps.
#include "harness/protocol/delay.h"

#include <gtest/gtest.h>

namespace lockstep::protocol {
namespace {

// Two pipeline ranks with two chunks each, stages 0 to 3, backwards in parts on the last.
Schedule TwoChunks() {
  Schedule schedule;
  schedule.name = "test";
  schedule.stages = 4;
  schedule.micro_batches = 2;
  schedule.ranks = {ParseActions("0F0,0F1,2F0,2F1,2B0,2B1,0B0,0B1", "test"),
                    ParseActions("1F0,1F1,3F0,3F1,3I0,3W0,3I1,3W1,1B0,1B1", "test")};
  return schedule;
}

std::int64_t Sleeps(std::int64_t rank, const std::string& operation, std::int64_t micro_batch = -1) {
  Plan plan;
  plan.pipeline = plan.chunks = plan.micro_batches = 2;
  return SleepsInStep({.rank = rank, .operation = operation, .seconds = 1, .step = 0, .micro_batch = micro_batch}, plan,
                      TwoChunks());
}

TEST(Delay, ComesWithEveryActionOfItsKindAndMicroBatch) {
  EXPECT_EQ(Sleeps(0, "F"), 4);
  EXPECT_EQ(Sleeps(0, "F", 1), 2);
  EXPECT_EQ(Sleeps(1, "B"), 2);
  EXPECT_EQ(Sleeps(1, "I"), 2);
  EXPECT_EQ(Sleeps(1, "W", 0), 1);
  EXPECT_EQ(Sleeps(0, "W"), 0);
}

TEST(Delay, ComesWithEveryResultThatIsHandedOn) {
  EXPECT_EQ(Sleeps(0, "send"), 2 + 2 + 2);  // stages 0 and 2 forward, 2 backward; stage 0 has nobody before it
  EXPECT_EQ(Sleeps(1, "send"), 2 + 2 + 2);  // stage 1 both ways, stage 3 backward; a weight gradient stays
  EXPECT_EQ(Sleeps(1, "send", 0), 1 + 1 + 1);
}

TEST(Delay, ComesBeforeEveryActionOnTheHostAndOnceAStepElsewhere) {
  EXPECT_EQ(Sleeps(0, "host"), 8);
  EXPECT_EQ(Sleeps(1, "host"), 10);
  EXPECT_EQ(Sleeps(0, "data"), 1);
  EXPECT_EQ(Sleeps(0, "optimizer"), 1);
}

TEST(Delay, NeverComesForAMicroBatchOfWhatHasNone) {
  EXPECT_EQ(Sleeps(0, "host", 0), 0);
  EXPECT_EQ(Sleeps(0, "data", 0), 0);
  EXPECT_EQ(Sleeps(0, "F", 2), 0);
}

}  // namespace
}  // namespace lockstep::protocol
