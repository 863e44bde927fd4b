// Joining timelines: both ends of a message, members of a collective, clocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "harness/schedule/generate.h"
#include "harness/stalls/clocks.h"
#include "suites/unit/stalls/expect.h"
#include "suites/unit/stalls/scene.h"

namespace lockstep::stalls {
namespace {

using protocol::BadInput;
using protocol::Timeline;
using testing::ElementsAre;
using testing::HasSubstr;

stalls::Run Joined(const Scene& scene, std::vector<Timeline> timelines) {
  return Join("scene", scene.plan, schedule::Generate(scene.plan), std::move(timelines));
}

std::string Refusal(const Scene& scene, std::vector<Timeline> timelines) {
  try {
    Joined(scene, std::move(timelines));
  } catch (const BadInput& problem) {
    return problem.what();
  }
  return "";
}

void Shift(Timeline* timeline, double by) {
  const auto shift = [by](protocol::Interval& time) {
    time.began += by;
    time.ended += by;
  };
  for (auto& step : timeline->steps) shift(step.time);
  for (auto& op : timeline->ops) {
    for (double* time : {&op.enqueued, &op.ready, &op.started, &op.ended}) *time += by;
  }
  for (auto& message : timeline->messages) {
    message.posted += by;
    message.ended += by;
    if (message.wait) shift(*message.wait);
  }
  for (auto& collective : timeline->collectives) {
    collective.posted += by;
    collective.ended += by;
    if (collective.wait) shift(*collective.wait);
  }
}

TEST(JoiningTimelines, MatchesBothEndsOfEveryMessageAndAllMembersOfEveryCollective) {
  Scene scene = SceneOf("dp=2,pp=2,m=4");
  scene.steps = 3;
  const stalls::Run run = scene.Joined();
  EXPECT_EQ(run.messages.size(), 3u * 2 * (4 + 4));  // steps x replicas x (forward and backward of a micro-batch)
  EXPECT_EQ(run.collectives.size(), 3u * (2 + 1));   // two data groups, one world
  for (const Message& message : run.messages) {
    EXPECT_TRUE(run.SendOf(message).send);
    EXPECT_FALSE(run.ReceiveOf(message).send);
    EXPECT_EQ(run.SendOf(message).peer, message.receiver);
    EXPECT_EQ(run.ReceiveOf(message).peer, message.sender);
  }
  EXPECT_TRUE(run.doubts.empty());
  EXPECT_EQ(run.contradicted, 0);
}

TEST(JoiningTimelines, FindsWhoCameLastToACollective) {
  Scene scene = SceneOf("dp=3");
  scene.extra = [](const Moment& at) { return at.rank == 1 && at.name == "F" ? 1.0 : 0; };
  for (const Collective& collective : scene.Joined().collectives) {
    if (collective.group == "data") {
      EXPECT_EQ(collective.members[collective.last].rank, 1);
    }
  }
}

TEST(JoiningTimelines, TellsMessagesAndCollectivesThatLackAnEnd) {
  const Scene scene = SceneOf("dp=2,pp=2,m=2");
  std::vector<Timeline> timelines = scene.Timelines();
  std::erase_if(timelines[0].messages, [](const auto& each) { return each.send && each.step == 2; });
  std::erase_if(timelines[3].messages, [](const auto& each) { return !each.send && each.step == 3; });
  std::erase_if(timelines[1].collectives, [](const auto& each) { return each.group == "world" && each.step == 2; });
  const stalls::Run run = Joined(scene, timelines);
  EXPECT_THAT(run.doubts,
              testing::UnorderedElementsAre(
                  "activation of micro-batch 0, stage 0 to 1, step 2, which rank 2 received from rank 0, was "
                  "sent by nobody, and 1 more",
                  "activation of micro-batch 0, stage 0 to 1, step 3, which rank 1 sent to rank 3, was "
                  "received by nobody, and 1 more",
                  "host_sum 1 of group 'world' in step 2 is in the timelines of 3 of 4 ranks"));
}

TEST(JoiningTimelines, ChargesAWaitWithoutItsOtherEndToNobody) {
  const Scene scene = SceneOf("pp=2,m=1");
  std::vector<Timeline> timelines = scene.Timelines();
  std::erase_if(timelines[0].messages, [](const auto& each) { return each.send && each.step == 2; });
  const Attribution attribution = Attribute(Joined(scene, timelines));
  EXPECT_NEAR(Of(attribution, 1, 2, Category::kUnattributed), 1, kExact);
  EXPECT_NEAR(Of(attribution, 1, 3, Category::kUnattributed), 0, kExact);
  ExpectSumsToWall(attribution);
}

TEST(JoiningTimelines, RefusesRanksThatAreMissingOrShareNoStep) {
  const Scene scene = SceneOf("dp=3");
  std::vector<Timeline> two = scene.Timelines();
  two.pop_back();
  EXPECT_EQ(Refusal(scene, two), "scene: has timelines of 2 ranks; expected those of all 3");
  std::vector<Timeline> twice = scene.Timelines();
  twice[2].clock.rank = 1;
  EXPECT_EQ(Refusal(scene, twice), "scene: has two timelines of rank 1, or none of rank 2");
  std::vector<Timeline> apart = scene.Timelines();
  apart[1].clock.first_step = 99;
  apart[1].clock.last_step = 100;
  EXPECT_EQ(Refusal(scene, apart), "scene: has no step that all ranks hold in their timelines");
  std::vector<Timeline> gap = scene.Timelines();
  gap[1].steps.erase(gap[1].steps.begin() + 2);
  EXPECT_EQ(Refusal(scene, gap), "scene: rank 1 has no step 3 in its timeline");
}

TEST(JoiningTimelines, KeepsTheStepsThatAllRanksHold) {
  const Scene scene = SceneOf("pp=2,m=2");
  std::vector<Timeline> timelines = scene.Timelines();
  timelines[1].clock.first_step = 3;  // its ring came round
  const auto old = [](const auto& each) { return each.step < 3; };
  std::erase_if(timelines[1].steps, old);
  std::erase_if(timelines[1].ops, old);
  std::erase_if(timelines[1].messages, old);
  std::erase_if(timelines[1].collectives, old);
  const stalls::Run run = Joined(scene, timelines);
  EXPECT_EQ(run.first_step, 3);
  EXPECT_TRUE(run.doubts.empty());
  const Attribution attribution = Attribute(run);
  ASSERT_EQ(attribution.steps.size(), 2u * 4);
  for (const RankStep& each : attribution.steps) {
    EXPECT_NEAR(Of(attribution, each.rank, each.step, Category::kBubble), 3, kExact);
  }
}

// A receive can't end before its send began.
TEST(Clocks, AreMovedWithinTheirUncertaintyUntilNoMessageEndsBeforeItBegan) {
  const Scene scene = SceneOf("pp=2,m=4");  // no latency: any error shows
  std::vector<Timeline> timelines = scene.Timelines();
  Shift(&timelines[1], -0.25);
  timelines[1].clock.uncertainty_seconds = 0.5;
  const stalls::Run run = Joined(scene, timelines);
  EXPECT_NEAR(run.clocks[1].moved, 0.25, kExact);
  EXPECT_EQ(run.clocks[0].moved, 0);
  EXPECT_NEAR(run.contradicted, 0, kExact);
  const Attribution attribution = Attribute(run);
  for (const RankStep& each : attribution.steps) {
    EXPECT_NEAR(Of(attribution, each.rank, each.step, Category::kBubble), 3, 1e-6);
  }
}

TEST(Clocks, ThatAreSureAreNotMovedAndTheContradictionIsTold) {
  const Scene scene = SceneOf("pp=2,m=4");
  std::vector<Timeline> timelines = scene.Timelines();
  Shift(&timelines[1], -0.25);
  timelines[1].clock.uncertainty_seconds = 0.0625;
  const stalls::Run run = Joined(scene, timelines);
  EXPECT_NEAR(run.clocks[1].moved, 0.0625, kExact);
  EXPECT_NEAR(run.contradicted, 0.1875, kExact);
  ExpectSumsToWall(Attribute(run));
}

TEST(Clocks, AreMovedOnBothSidesWhereOneIsNotUnsureEnough) {
  const std::vector<double> moves = MovesOf({0.1, 0.2, 0}, {{0, 1, -0.25}, {1, 2, 0.5}});
  EXPECT_THAT(moves, ElementsAre(testing::DoubleNear(-0.05, 1e-12), testing::DoubleNear(0.2, 1e-12), 0));
}

TEST(Clocks, AreNotMovedWithoutReason) { EXPECT_THAT(MovesOf({1, 1}, {{0, 1, 0.5}, {1, 0, 0}}), ElementsAre(0, 0)); }

}  // namespace
}  // namespace lockstep::stalls
