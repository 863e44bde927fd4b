#include "harness/schedule/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/schedule/lower.h"
#include "harness/schedule/verify.h"
#include "suites/unit/schedule/shapes.h"

namespace lockstep::schedule {
namespace {

std::int64_t Makespan(const protocol::Schedule& schedule, const Costs& costs, const Channels& channels = {}) {
  EXPECT_FALSE(Verify(schedule, {channels}));
  return Simulate(schedule, costs, channels).makespan;
}

TEST(Simulator, TimesEveryOperationByItsStageAndKind) {
  Costs costs;
  costs.forward = {2, 5};
  costs.input_gradient = {3, 7};
  costs.weight_gradient = {11, 13};
  const Simulation simulation = Simulate(FromLines(2, 1, {"0F0,0I0,0W0", "1F0,1B0"}), costs, Channels());
  const auto& rank0 = simulation.timeline[0];
  EXPECT_EQ(rank0[0].start, 0);
  EXPECT_EQ(simulation.timeline[1][0].start, 2);      // after 0F0
  EXPECT_EQ(simulation.timeline[1][1].start, 2 + 5);  // B = I + W
  EXPECT_EQ(rank0[1].start, 2 + 5 + 20);
  EXPECT_EQ(rank0[2].end, 2 + 5 + 20 + 3 + 11);
  EXPECT_EQ(simulation.makespan, 41);
  EXPECT_EQ(simulation.ranks[0].busy, 16);
  EXPECT_EQ(simulation.ranks[0].makespan_idle, 25);
  EXPECT_EQ(simulation.ranks[1].span_idle, 0);
  EXPECT_EQ(simulation.ranks[1].makespan_idle, 41 - 25);
}

TEST(Simulator, AWholeBackwardMayTakeLessThanItsHalves) {
  Costs costs;
  costs.backward = {1};
  EXPECT_EQ(Makespan(FromLines(1, 2, {"0F0,0B0,0F1,0B1"}), costs), 4);
}

TEST(Simulator, AFusedPairEndsAtOnce) {
  Costs costs;
  costs.fused = {2};
  const protocol::Schedule schedule = FromLines(1, 2, {"0F0,(0F1;0B0)OVERLAP_F_B,0B1"});
  EXPECT_EQ(Makespan(schedule, costs), 1 + 2 + 2);
  EXPECT_EQ(Makespan(schedule, Costs()), 1 + 3 + 2);
  EXPECT_EQ(Simulate(schedule, costs, Channels()).ranks[0].peak_activations, 2);
}

TEST(Simulator, AMessageTakesTheLinkForItsBytesAndThenItsLatency) {
  Costs costs;
  costs.message_bytes = {10};
  costs.bandwidth = 4;  // 3 ticks, rounded up
  costs.latency = 5;
  const protocol::Schedule one = FromLines(2, 1, {"0F0,0B0", "1F0,1B0"});
  EXPECT_EQ(Makespan(one, costs), 1 + (3 + 5) + 1 + 2 + (3 + 5) + 2);
  EXPECT_EQ(Makespan(WithTransfers(one), costs), Makespan(one, costs));
  // Two messages leave at 1 and 2 by one link: the second goes when the first is through, at 4, and is there at 12.
  const Simulation two = Simulate(FromLines(2, 2, {"0F0,0F1,0B0,0B1", "1F0,1F1,1B0,1B1"}), costs, Channels());
  EXPECT_EQ(two.timeline[1][0].start, 9);
  EXPECT_EQ(two.timeline[1][1].start, 12);
}

TEST(Simulator, LinksOfTheTwoDirectionsDoNotHinderEachOther) {
  Costs costs;
  costs.message_bytes = {100};
  costs.bandwidth = 1;
  const protocol::Schedule schedule = FromLines(2, 2, {"0F0,0F1,0B0,0B1", "1F0,1B0,1F1,1B1"});
  const Simulation simulation = Simulate(schedule, costs, Channels());
  EXPECT_EQ(simulation.timeline[1][0].start, 101);
  EXPECT_EQ(simulation.timeline[1][2].start, 201);  // the second message, though a gradient left at 104
  EXPECT_EQ(simulation.timeline[0][2].start, 204);
}

TEST(Simulator, ASendWaitsAsItsChannelSays) {
  Costs costs;
  costs.forward = {1, 10};
  const protocol::Schedule schedule =
      FromLines(2, 3,
                {"0F0,0SEND_F0,0F1,0SEND_F1,0F2,0SEND_F2,0RECV_B0,0B0,0RECV_B1,0B1,0RECV_B2,0B2",
                 "1RECV_F0,1F0,1RECV_F1,1F1,1RECV_F2,1F2,1B0,1SEND_B0,1B1,1SEND_B1,1B2,1SEND_B2"});
  const auto sent = [&](const Channels& channels) {
    EXPECT_FALSE(Verify(schedule, {channels}));
    const Simulation simulation = Simulate(schedule, costs, channels);
    std::vector<std::int64_t> times;
    for (const std::size_t position : {1u, 3u, 5u}) times.push_back(simulation.timeline[0][position].end);
    return times;
  };
  using Times = std::vector<std::int64_t>;
  EXPECT_EQ(sent({ChannelKind::kUnbounded, 1}), (Times{1, 2, 3}));
  EXPECT_EQ(sent({ChannelKind::kRendezvous, 1}), (Times{1, 11, 21}));  // when rank 1 comes to its receives
  EXPECT_EQ(sent({ChannelKind::kBounded, 1}), (Times{1, 2, 11}));      // when the one before has been received
  EXPECT_EQ(sent({ChannelKind::kBounded, 2}), (Times{1, 2, 3}));
}

TEST(Simulator, HoldsActivationsUntilTheWeightGradient) {
  Costs costs;
  costs.activation_bytes = {100};
  const auto peak = [&](const std::string& line) {
    return Simulate(FromLines(1, 2, {line}), costs, Channels()).ranks[0];
  };
  EXPECT_EQ(peak("0F0,0I0,0W0,0F1,0I1,0W1").peak_activations, 1);
  EXPECT_EQ(peak("0F0,0I0,0F1,0W0,0I1,0W1").peak_activations, 2);
  EXPECT_EQ(peak("0F0,0I0,0F1,0W0,0I1,0W1").peak_bytes, 200);
}

TEST(Simulator, CountsBytesByStage) {
  Costs costs;
  costs.activation_bytes = {7, 100, 10, 1};
  const Simulation simulation = Simulate(Make("zb_v", {2, 2, 1}), costs, Channels());
  EXPECT_EQ(simulation.ranks[0].peak_bytes, 7 + 1);
  EXPECT_EQ(simulation.ranks[1].peak_bytes, 100 + 10);
}

TEST(Simulator, RecomputationKeepsAStagesInputAlone) {
  Costs costs;
  costs.activation_bytes = {100};
  costs.message_bytes = {8};
  costs.recompute = {4};
  const protocol::Schedule schedule = FromLines(2, 2, {"0F0,0F1,0B0,0B1", "1F0,1F1,1RECOMPUTE0,1B0,1RECOMPUTE1,1B1"});
  const Simulation simulation = Simulate(schedule, costs, Channels());
  EXPECT_EQ(simulation.ranks[0].peak_bytes, 200);
  EXPECT_EQ(simulation.ranks[1].peak_bytes, 100 + 8);  // one micro-batch whole, the other one's input
  EXPECT_EQ(simulation.ranks[1].peak_activations, 1);
  EXPECT_EQ(simulation.ranks[1].busy, 2 * (1 + 4 + 2));
}

TEST(Simulator, TimeInCommunicationIsNotBusy) {
  Costs costs;
  costs.all_reduce = {50};
  costs.gather = {20};
  costs.optimizer = {3};
  const Simulation simulation =
      Simulate(FromLines(1, 1, {"0UNSHARD,0F0,0B0,0REDUCE_GRAD,0OPTIMIZER"}), costs, Channels());
  EXPECT_EQ(simulation.makespan, 20 + 1 + 2 + 50 + 3);
  EXPECT_EQ(simulation.ranks[0].busy, 1 + 2 + 3);
}

TEST(Simulator, AnAllReduceBeginsWhenTheLastHolderIsThere) {
  Costs costs;
  costs.all_reduce = {10};
  costs.forward = {1, 1};
  const protocol::Schedule schedule = FromLines(
      2, 3, {"0F0,1F2,1B2,0B0,0REDUCE_GRAD,1REDUCE_GRAD", "0F2,1F0,1B0,0B2,0F1,1F1,1B1,0B1,0REDUCE_GRAD,1REDUCE_GRAD"},
      {{0, 1}, {0, 1}});
  ASSERT_FALSE(Verify(schedule, EveryKindOfChannels()));
  const Simulation simulation = Simulate(schedule, costs, Channels());
  EXPECT_EQ(simulation.timeline[0][4].start, simulation.timeline[1][8].start);
  EXPECT_EQ(simulation.timeline[0][4].start, simulation.timeline[1][7].end);
  EXPECT_EQ(simulation.makespan, simulation.timeline[1][7].end + 20);
}

TEST(Simulator, TheCriticalPathAccountsForEveryTick) {
  Costs costs;
  costs.forward = {3, 9, 4, 5};
  costs.message_bytes = {6};
  costs.bandwidth = 3;
  costs.latency = 1;
  for (const char* name : {"1f1b", "gpipe", "zb_h1", "zb_h2"}) {
    const Simulation simulation = Simulate(Make(name, {4, 1, 9}), costs, Channels());
    std::int64_t ticks = 0;
    for (const Step& step : simulation.critical_path) {
      const Span& span = simulation.timeline[step.rank][step.position];
      ticks += step.wait;
      EXPECT_EQ(span.start, ticks) << name;
      ticks += span.end - span.start;
    }
    EXPECT_EQ(ticks, simulation.makespan) << name;
  }
}

TEST(Simulator, StaysExactWithLargeNumbers) {
  Costs costs;
  costs.forward = {kMostTicks};
  costs.input_gradient = {kMostTicks};
  costs.weight_gradient = {kMostTicks - 1};
  const Simulation simulation = Simulate(Make("1f1b", {8, 1, 1000}), costs, Channels());
  EXPECT_EQ(simulation.makespan, (1000 + 7) * (3 * kMostTicks - 1));
}

TEST(Simulator, IsReadyForSixtyFourStagesAndAThousandMicroBatches) {
  const Simulation simulation = Simulate(WithTransfers(Make("zb_h1", {64, 1, 1024})), Costs(), Channels());
  EXPECT_EQ(simulation.makespan, 3 * 1024 + 63);
}

}  // namespace
}  // namespace lockstep::schedule
