// Attribution against runs whose answer is known.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "harness/schedule/generate.h"
#include "harness/schedule/simulate.h"
#include "suites/unit/stalls/expect.h"
#include "suites/unit/stalls/scene.h"

namespace lockstep::stalls {
namespace {

// Every other category of every rank and step.
void ExpectNothingElse(const Attribution& attribution, std::initializer_list<Category> expected) {
  for (const RankStep& each : attribution.steps) {
    for (const Category category : AllCategories()) {
      if (std::find(expected.begin(), expected.end(), category) != expected.end()) continue;
      EXPECT_NEAR(each.seconds[static_cast<std::size_t>(category)], 0, kExact)
          << NameOf(category) << " on rank " << each.rank << ", step " << each.step;
    }
  }
}

TEST(Attribution, OfOneForwardOneBackwardWithEqualStagesIsTheBubbleOfTheFormulaAndNothingElse) {
  for (const int p : {2, 3, 4, 8}) {
    for (const int m : {1, 2, 4, 8, 16}) {
      Scene scene = SceneOf("pp=" + std::to_string(p) + ",m=" + std::to_string(m));
      scene.forward = 3;
      scene.backward = 5;
      const Attribution attribution = Attribute(scene.Joined());
      for (const RankStep& each : attribution.steps) {
        EXPECT_NEAR(Of(attribution, each.rank, each.step, Category::kBubble), (p - 1) * 8, kExact) << p << " " << m;
        EXPECT_NEAR(Of(attribution, each.rank, each.step, Category::kCompute), m * 8, kExact);
      }
      ExpectNothingElse(attribution, {Category::kBubble, Category::kCompute});
      EXPECT_TRUE(attribution.causes.empty());
    }
  }
}

TEST(Attribution, OfEveryScheduleWithEqualStagesIsTheBubbleThatItsSimulationHas) {
  for (const std::string plan :
       {"pp=4,m=8,schedule=gpipe", "pp=4,m=8,schedule=zb_h1", "pp=4,m=8,schedule=zb_h2",
        "pp=4,m=8,chunks=2,schedule=zb_v", "pp=4,m=8,chunks=2,schedule=interleaved_1f1b",
        "pp=4,m=8,chunks=2,schedule=looped_bfs", "pp=4,m=8,schedule=dualpipe", "dp=2,pp=2,m=4,schedule=1f1b"}) {
    const Scene scene = SceneOf(plan);
    const stalls::Run run = scene.Joined();
    const Attribution attribution = Attribute(run);
    protocol::Schedule lines = run.schedule;  // a scene does a fused pair one after the other, as trainers may
    for (auto& line : lines.ranks) {
      for (auto& action : line) action.with_next = false;
    }
    const auto simulation = schedule::Simulate(lines, schedule::Costs(), {});  // F, I, W of a tick each
    for (const RankStep& each : attribution.steps) {
      const auto& rank = simulation.ranks[static_cast<std::size_t>(run.plan.At(each.rank).pipeline)];
      EXPECT_NEAR(Of(attribution, each.rank, each.step, Category::kBubble), static_cast<double>(rank.makespan_idle),
                  kExact)
          << plan;
    }
    ExpectNothingElse(attribution, {Category::kBubble, Category::kCompute});
  }
}

// +200 ms in one replica's backward: all ranks show the same step time, because the all-reduce equalises them.
TEST(Attribution, ChargesAReplicasSlowBackwardThatTheAllReduceHides) {
  Scene scene = SceneOf("dp=2,m=2");
  scene.reduction = 0.25;
  scene.meeting = 0.125;
  scene.extra = [](const Moment& at) {
    return at.rank == 1 && at.step == 4 && at.name == "B" && at.micro_batch == 1 ? 0.2 : 0;
  };
  const Attribution attribution = Attribute(scene.Joined());
  EXPECT_NEAR(Of(attribution, 0, 4, Category::kStraggler), 0.2, kExact);
  EXPECT_NEAR(Of(attribution, 1, 4, Category::kStraggler), 0, kExact);
  EXPECT_NEAR(Of(attribution, 1, 4, Category::kCompute), 6.2, kExact);
  EXPECT_NEAR(Of(attribution, 0, 4, Category::kTransfer), 0.25, kExact);
  EXPECT_NEAR(Of(attribution, 0, 4, Category::kOptimizer), 0.125, kExact);
  const Cause cause = CauseOf(attribution, 1, "B", 4);
  EXPECT_EQ(attribution.causes[0].operation, cause.operation);
  EXPECT_EQ(cause.micro_batch, 1);
  EXPECT_NEAR(cause.excess, 0.2, kExact);
  EXPECT_NEAR(cause.step_cost, 0.2, kExact);
  EXPECT_NEAR(cause.others_waited, 0.2, kExact);
}

// The same in every step: against its replica it is slow, though against itself it is as always.
TEST(Attribution, ChargesAReplicaThatIsAlwaysSlower) {
  Scene scene = SceneOf("dp=2,m=2");
  scene.extra = [](const Moment& at) { return at.rank == 0 && at.name == "F" ? 0.5 : 0; };
  const Attribution attribution = Attribute(scene.Joined());
  for (std::int64_t step = 1; step <= scene.steps; ++step) {
    EXPECT_NEAR(Of(attribution, 1, step, Category::kStraggler), 1.0, kExact);
    EXPECT_NEAR(CauseOf(attribution, 0, "F", step).step_cost, 1.0, kExact);
  }
}

// A slow stage that starves the ones after it.
TEST(Attribution, ChargesAStageThatStarvesTheOnesAfterIt) {
  Scene scene = SceneOf("pp=4,m=8");
  scene.extra = [](const Moment& at) { return at.rank == 1 && at.name == "F" ? 0.5 : 0; };
  const Attribution attribution = Attribute(scene.Joined());
  const Cause cause = CauseOf(attribution, 1, "F", -1);
  EXPECT_TRUE(cause.usual);
  EXPECT_EQ(cause.category, Category::kImbalance);
  EXPECT_EQ(cause.operation.stage, 1);
  EXPECT_NEAR(cause.excess, 8 * 0.5, kExact);
  ASSERT_EQ(attribution.causes.size(), 1u);
  const double wall = attribution.steps[0].wall, without = 11 * 3;
  EXPECT_NEAR(cause.step_cost, wall - without, kExact);
  for (const std::int64_t starved : {2, 3}) {
    EXPECT_NEAR(Of(attribution, starved, 3, Category::kImbalance), wall - without, kExact);
    EXPECT_NEAR(Of(attribution, starved, 3, Category::kBubble), 9, kExact);
  }
  ExpectSumsToWall(attribution);
}

TEST(Attribution, ChargesTimeOfTheNextStepToTheOptimizerOfTheOneBefore) {
  Scene scene = SceneOf("dp=2,pp=2,m=2");
  scene.optimizer = 0.5;
  scene.extra = [](const Moment& at) { return at.rank == 2 && at.step == 3 && at.name == "optimizer" ? 0.25 : 0; };
  const Attribution attribution = Attribute(scene.Joined());
  const Cause cause = CauseOf(attribution, 2, "optimizer", 3);
  EXPECT_NEAR(cause.excess, 0.25, kExact);
  EXPECT_NEAR(cause.others_waited,
              Of(attribution, 0, 4, Category::kStraggler) + Of(attribution, 1, 4, Category::kStraggler) +
                  Of(attribution, 3, 4, Category::kStraggler),
              kExact);
  EXPECT_NEAR(Of(attribution, 3, 4, Category::kStraggler), 0.25 - cause.step_cost < kExact ? 0.25 : 0, 0.25);
  ExpectSumsToWall(attribution);
}

TEST(Attribution, SplitsAReceivesWaitAtItsPeersPost) {
  Scene scene = SceneOf("pp=2,m=1");
  scene.latency = 0.125;
  const Attribution attribution = Attribute(scene.Joined());
  // Its own, and at the meeting that of rank 0, which had to wait for the answer.
  EXPECT_NEAR(Of(attribution, 1, 3, Category::kTransfer), 0.25, kExact);
  // Rank 0 waits for the way there, which is upstream's, and for the way back.
  EXPECT_NEAR(Of(attribution, 0, 3, Category::kTransfer), 0.25, kExact);
  EXPECT_NEAR(Of(attribution, 0, 3, Category::kBubble), 3, kExact);
  ExpectNothingElse(attribution, {Category::kBubble, Category::kCompute, Category::kTransfer});
}

TEST(Attribution, CallsWaitingForARanksDataAndHandingOverWhatItIs) {
  Scene scene = SceneOf("pp=2,m=1");
  scene.extra = [](const Moment& at) {
    return at.rank == 0 && at.name == "data" ? 0.5 : at.rank == 0 && at.name == "send" ? 0.25 : 0;
  };
  const Attribution attribution = Attribute(scene.Joined());
  EXPECT_NEAR(Of(attribution, 0, 3, Category::kData), 0.5, kExact);
  EXPECT_NEAR(Of(attribution, 1, 3, Category::kData), 0.5, kExact);
  EXPECT_NEAR(Of(attribution, 0, 3, Category::kTransfer), 0.25, kExact);
  EXPECT_NEAR(Of(attribution, 1, 3, Category::kTransfer), 0.25, kExact);
  EXPECT_NEAR(CauseOf(attribution, 0, "data", -1).others_waited, 0.5, kExact);
  EXPECT_NEAR(CauseOf(attribution, 0, "send", -1).others_waited, 0.25, kExact);
}

// Whatever is late by itself: what it cost is by how much the step came to its end later, slack and all.
TEST(Attribution, ChargesOneSlowOperationWithExactlyWhatTheStepBecameLonger) {
  std::mt19937 random(7);
  const std::vector<std::string> names{"F", "B", "send", "host", "data"};
  for (int round = 0; round < 200; ++round) {
    Scene scene = SceneOf(round % 2 == 0 ? "pp=4,m=6" : "dp=2,pp=2,m=4,schedule=gpipe");
    scene.host = 0.125;
    scene.send = 0.0625;
    scene.data = 0.5;
    scene.latency = 0.25;
    const Attribution before = Attribute(scene.Joined());
    const auto rank = static_cast<std::int64_t>(random() % 4), micro_batch = static_cast<std::int64_t>(random() % 4);
    const std::string name = names[random() % names.size()];
    const double seconds = 0.25 * static_cast<double>(1 + random() % 20);
    int hits = 0;
    scene.extra = [&](const Moment& at) {
      const bool here =
          at.rank == rank && at.step == 4 && at.name == name && (at.micro_batch < 0 || at.micro_batch == micro_batch);
      // One of a name: a rank's first host gap, its first send of the micro-batch.
      return here && hits++ == 0 ? seconds : 0;
    };
    const Attribution after = Attribute(scene.Joined());
    if (hits == 0) continue;  // a last stage's send
    double longer = 0, others = 0;
    for (std::size_t i = 0; i < after.steps.size(); ++i) {
      longer = std::max(longer, after.steps[i].wall - before.steps[i].wall);
      if (after.steps[i].rank != rank) others += after.steps[i].seconds[static_cast<std::size_t>(Category::kStraggler)];
    }
    const Cause cause = CauseOf(after, rank, name, 4);
    EXPECT_NEAR(cause.excess, seconds, kExact) << name;
    EXPECT_NEAR(cause.step_cost, longer, kExact) << name << " on rank " << rank;
    EXPECT_NEAR(cause.others_waited, others, kExact) << name << " on rank " << rank;
    ExpectSumsToWall(after);
  }
}

TEST(Attribution, SumsToWallOfAnyRun) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> any(0, 1);
  for (int round = 0; round < 60; ++round) {
    const std::vector<std::string> plans{"pp=4,m=8", "dp=2,pp=2,m=4,schedule=zb_h1", "dp=4,m=2",
                                         "pp=2,m=4,chunks=2,schedule=interleaved_1f1b"};
    Scene scene = SceneOf(plans[static_cast<std::size_t>(round) % plans.size()]);
    scene.data = scene.send = scene.host = scene.optimizer = 0.05;
    scene.latency = scene.reduction = scene.meeting = 0.1;
    scene.extra = [&](const Moment&) { return any(random) < 0.1 ? 5 * any(random) : 0.1 * any(random); };
    const stalls::Run run = scene.Joined();
    const Attribution attribution = Attribute(run);
    ExpectSumsToWall(attribution);
    EXPECT_EQ(attribution.untangled, 0u);
    for (const RankStep& each : attribution.steps) {
      EXPECT_NEAR(each.seconds[static_cast<std::size_t>(Category::kUnattributed)], 0, kExact);
    }
    // Slices lie end to end over every step.
    for (const auto& slices : attribution.slices) {
      for (std::size_t i = 1; i < slices.size(); ++i)
        EXPECT_NEAR(slices[i].time.began, slices[i - 1].time.ended, kExact);
    }
  }
}

TEST(Attribution, TellsWhatNobodyTold) {
  Scene scene = SceneOf("dp=2,m=1");
  std::vector<protocol::Timeline> timelines = scene.Timelines();
  for (auto& timeline : timelines) {
    for (auto& step : timeline.steps) step.time.ended += 0;
    timeline.spans.clear();
    std::erase_if(timeline.collectives, [](const auto& each) { return each.group == "data"; });
    timeline.clock.groups.erase("data");
  }
  // A second of the line that the timeline leaves out after it.
  for (auto& timeline : timelines) {
    for (auto& op : timeline.ops) {
      if (op.action.kind == protocol::ActionKind::kBackward) op.ended -= 1;
    }
  }
  const Attribution attribution = Attribute(Join("scene", scene.plan, schedule::Generate(scene.plan), timelines));
  for (const RankStep& each : attribution.steps) {
    EXPECT_NEAR(each.seconds[static_cast<std::size_t>(Category::kUnattributed)] +
                    each.seconds[static_cast<std::size_t>(Category::kHost)],
                1, kExact);
  }
  ExpectSumsToWall(attribution);
}

// Posts cut operations, elsewhere in each step where the host runs ahead of its device: that slow ones alone are cut in
// one way makes slowness no habit.
TEST(Attribution, ChargesASlowOperationThatIsCutAsOnlySlowOnesAre) {
  Scene scene = SceneOf("dp=2,m=2");
  scene.steps = 16;
  const std::set<std::int64_t> slow{6, 8, 10};
  scene.extra = [&](const Moment& at) {
    return at.rank == 1 && at.name == "B" && at.micro_batch == 0 && slow.contains(at.step) ? 5.0 : 0;
  };
  std::vector<protocol::Timeline> timelines = scene.Timelines();
  for (protocol::Timeline& timeline : timelines) {
    for (const protocol::TimelineOp& op : timeline.ops) {
      if (op.action.kind != protocol::ActionKind::kBackward || slow.contains(op.step)) continue;
      const double middle = (op.started + op.ended) / 2;
      const std::int64_t number = 100 + 2 * op.step + op.action.micro_batch;
      timeline.collectives.push_back({op.step, "data", number, "all_reduce", 1024, middle, middle, {}});
    }
  }
  const Attribution attribution =
      Attribute(Join("scene", scene.plan, schedule::Generate(scene.plan), std::move(timelines)));
  for (const std::int64_t step : slow) {
    EXPECT_NEAR(CauseOf(attribution, 1, "B", step).excess, 5, kExact) << step;
    EXPECT_NEAR(Of(attribution, 0, step, Category::kStraggler), 5, kExact) << step;
  }
}

TEST(Attribution, ChargesAPauseWhereStepsUsuallyHaveNone) {
  Scene scene = SceneOf("dp=2,m=2");
  scene.extra = [](const Moment& at) { return at.rank == 1 && at.name == "host" && at.step == 4 ? 0.5 : 0; };
  const Attribution attribution = Attribute(scene.Joined());
  EXPECT_NEAR(CauseOf(attribution, 1, "host", 4).excess, 4 * 0.5, kExact);
  EXPECT_NEAR(Of(attribution, 0, 4, Category::kStraggler), 4 * 0.5, kExact);
}

}  // namespace
}  // namespace lockstep::stalls
