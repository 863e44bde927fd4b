// What a rank records of itself: a ring of events, one clock for all, delays that show where they were put.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "harness/protocol/cursor.h"
#include "harness/protocol/timeline.h"
#include "reference/backends/kokkos/backend.h"
#include "reference/trainer/events/activity.h"
#include "reference/trainer/events/clock_alignment.h"
#include "reference/trainer/events/recorder.h"
#include "suites/unit/trainer/runs.h"
#include "suites/unit/trainer/thread_world.h"

namespace lockstep::trainer::testing {
namespace {

using ::testing::SizeIs;

TEST(Recorder, KeepsTheLastStepsThatItHoldsWhole) {
  const auto device = backends::kokkos::MakeDevice(0, 0);
  Recorder recorder(10);
  EXPECT_EQ(recorder.Add(EventKind::kSpan, 1), Recorder::kNone) << "outside of a step";
  Recorder::Id first = Recorder::kNone;
  for (std::int64_t step = 1; step <= 4; ++step) {
    recorder.BeginStep(step, 100 * step);
    for (int i = 0; i < 3; ++i) {
      const Recorder::Id id = recorder.Add(EventKind::kSpan, 100 * step + i);
      if (first == Recorder::kNone) first = id;
      recorder.Find(id)->ended = 100 * step + i + 1;
    }
    recorder.EndStep(*device, 100 * step + 50);
  }
  EXPECT_EQ(recorder.Find(first), nullptr);
  const std::vector<Event> events = recorder.WholeSteps();
  ASSERT_THAT(events, SizeIs(8));  // steps 3 and 4: ten events hold two and a half
  EXPECT_EQ(events.front().step, 3);
  EXPECT_EQ(events.front().ended, 350);
  recorder.BeginStep(5, 500);
  EXPECT_EQ(recorder.WholeSteps().back().step, 4) << "the step that never ended is none";
}

TEST(Recorder, RecordsNothingWhenItIsOff) {
  Recorder recorder(0);
  recorder.BeginStep(1, 1);
  EXPECT_EQ(recorder.Add(EventKind::kOp, 2), Recorder::kNone);
  EXPECT_THAT(recorder.WholeSteps(), SizeIs(0));
}

// Ranks 0 and 1 on one host, 2 and 3 on another whose clock is ahead and gains.
TEST(CommonClock, PutsClocksOfSeveralHostsWithinTheirUncertainty) {
  constexpr double kAhead = 5e9, kGain = 1e-3;
  ThreadWorld world(4);
  world.Run([&](device::Communicator& ranks) {
    const bool other = ranks.Rank() >= 2;
    const auto now = [&] {
      const Nanoseconds true_now = Now();
      return other ? true_now + static_cast<Nanoseconds>(kAhead + kGain * static_cast<double>(true_now)) : true_now;
    };
    CommonClock clock;
    clock.Align(ranks, now, other ? "b" : "a");
    clock.Align(ranks, now, other ? "b" : "a");
    const Nanoseconds before = Now();
    const double here = clock.Seconds(now());
    const double spent = static_cast<double>(Now() - before) * 1e-9;
    CommonClock truth;  // everybody's true clock
    truth.Align(ranks, Now, "true");
    if (other) {
      EXPECT_GT(clock.uncertainty_seconds(), 0);
    } else {
      EXPECT_EQ(clock.uncertainty_seconds(), 0);
    }
    // Rank 0's own seconds at the same true moment differ from ours by no more than we say.
    const std::string mine = std::to_string(before) + " " + std::to_string(here);
    const std::vector<std::string> all = ranks.GatherOnHost(mine);
    const auto split = all[0].find(' ');
    const double rank_0 = std::stod(all[0].substr(split)), rank_0_at = std::stod(all[0].substr(0, split));
    const double expected = rank_0 + (static_cast<double>(before) - rank_0_at) * 1e-9;
    const double slack = 2e-6 + spent + kGain * std::abs(static_cast<double>(before) - rank_0_at) * 1e-9;
    EXPECT_NEAR(here, expected, clock.uncertainty_seconds() + slack) << "rank " << ranks.Rank();
  });
}

TEST(CommonClock, MeasuresNothingWhereAllReadOneClock) {
  const std::vector<std::vector<GatherTimes>> none(3);
  EXPECT_EQ(EstimateClock(2, {"a", "a", "a"}, none).uncertainty, 0);
  // Clock 2 is 1000 ahead; a gather entered at 10 and left at 30 by all bounds it by 20 either way.
  const ClockEstimate estimate = EstimateClock(2, {"a", "a", "b"}, {{{10, 30}}, {{12, 30}}, {{1010, 1030}}});
  EXPECT_EQ(estimate.offset, -999);  // between 980 and 1018: rank 1, on rank 0's clock, entered at 12
  EXPECT_EQ(estimate.uncertainty, 19);
}

std::vector<protocol::Timeline> TimelinesOf(const Runs& runs, const std::string& name, std::int64_t ranks) {
  std::vector<protocol::Timeline> timelines;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    timelines.push_back(
        protocol::ReadTimeline(protocol::RankFolder(runs.folder() + "/" + name, rank) / protocol::kTimelineFile));
  }
  return timelines;
}

protocol::Request TwoStages() { return RequestOf(Mlp(), "dp=2,pp=2,micro_batches=2,schedule=zb_h1"); }

TEST(Timeline, HoldsEveryActionOfEveryStepInItsOrder) {
  Runs runs;
  const protocol::Request request = TwoStages();
  runs.Run("plan", request);
  const auto timelines = TimelinesOf(runs, "plan", 4);
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    const protocol::Timeline& timeline = timelines[static_cast<std::size_t>(rank)];
    EXPECT_EQ(timeline.clock.rank, rank);
    EXPECT_EQ(timeline.clock.last_step, request.workload.steps);
    const auto& line = request.schedule.ranks[static_cast<std::size_t>(request.plan.At(rank).pipeline)];
    ASSERT_EQ(timeline.ops.size(), line.size() * static_cast<std::size_t>(request.workload.steps));
    for (std::size_t i = 0; i < timeline.ops.size(); ++i) {
      const protocol::TimelineOp& op = timeline.ops[i];
      const protocol::TimelineStep& step = timeline.steps[i / line.size()];
      EXPECT_EQ(op.action, line[i % line.size()]);
      EXPECT_EQ(op.position, static_cast<std::int64_t>(i % line.size()));
      EXPECT_LE(step.time.began, op.enqueued);
      EXPECT_LE(op.enqueued, op.started);
      EXPECT_LE(op.ready, op.started);
      EXPECT_LE(op.started, op.ended);
      EXPECT_LE(op.ended, step.time.ended);
      EXPECT_LE(i % line.size() == 0 ? step.time.began : timeline.ops[i - 1].ended, op.enqueued);
    }
  }
}

TEST(Timeline, HasBothEndsOfEveryMessageAndEveryMembersArrival) {
  Runs runs;
  runs.Run("plan", TwoStages());
  const auto timelines = TimelinesOf(runs, "plan", 4);
  std::size_t messages = 0;
  for (const protocol::Timeline& timeline : timelines) {
    for (const protocol::TimelineMessage& receive : timeline.messages) {
      if (receive.send) continue;
      const auto& sent = timelines[static_cast<std::size_t>(receive.peer)].messages;
      const auto send = std::find_if(sent.begin(), sent.end(), [&](const protocol::TimelineMessage& each) {
        return each.send && each.step == receive.step && each.source_stage == receive.source_stage &&
               each.micro_batch == receive.micro_batch && each.backward == receive.backward;
      });
      ASSERT_NE(send, sent.end());
      EXPECT_EQ(send->peer, timeline.clock.rank);
      EXPECT_EQ(send->bytes, receive.bytes);
      EXPECT_LE(send->posted, receive.ended);
      ++messages;
    }
    for (const protocol::TimelineCollective& collective : timeline.collectives) {
      for (const std::int64_t member : timeline.clock.groups.at(collective.group)) {
        const auto& theirs = timelines[static_cast<std::size_t>(member)].collectives;
        const auto same = std::find_if(theirs.begin(), theirs.end(), [&](const protocol::TimelineCollective& each) {
          return each.group == collective.group && each.number == collective.number;
        });
        ASSERT_NE(same, theirs.end()) << collective.group << " " << collective.number;
        EXPECT_EQ(same->operation, collective.operation);
        EXPECT_LE(same->posted, collective.ended) << "nobody leaves before all have come";
      }
    }
  }
  EXPECT_EQ(messages, 2u * 2u * 2u * 3u);  // replicas, micro-batches, directions, steps
}

TEST(Timeline, IsLeftOutWhereNobodyWantsIt) {
  Runs runs;
  protocol::Request request = RequestOf(Mlp(), "single");
  request.evidence.timeline = false;
  runs.Run("plan", request);
  EXPECT_FALSE(std::filesystem::exists(protocol::RankFolder(runs.folder() + "/plan", 0) / protocol::kTimelineFile));
}

double Seconds(const protocol::Interval& time) { return time.ended - time.began; }

// A pause is where it was asked for: of rank 1, in step 2. What is not paused may be slow too on a busy machine, but
// not all of it.
TEST(Delays, AreSeenWhereTheyArePut) {
  constexpr double kPause = 0.03;
  Runs runs;
  protocol::Request request = RequestOf(Mlp(), "pp=2,micro_batches=2");
  const auto run = [&](const std::string& operation, std::int64_t micro_batch) {
    request.delays = {{1, operation, kPause, 2, micro_batch}};
    runs.Run(operation, request);
    return TimelinesOf(runs, operation, 2)[1];
  };
  for (const std::string kind : {"F", "B"}) {
    double paused = 0, shortest = kPause;
    for (const protocol::TimelineOp& op : run(kind, 1).ops) {
      const bool here = op.step == 2 && ToString(op.action) == "1" + kind + "1";
      (here ? paused : shortest) = here ? op.ended - op.started : std::min(shortest, op.ended - op.started);
    }
    EXPECT_GE(paused, kPause) << kind;
    EXPECT_LT(shortest, kPause) << kind;
  }
  for (const std::string name : {"send", "data", "optimizer"}) {
    double longest = 0, shortest = kPause;
    for (const protocol::TimelineSpan& span : run(name, -1).spans) {
      if (span.name != name) continue;
      const double seconds = Seconds(span.time);
      (span.step == 2 ? longest : shortest) = span.step == 2 ? std::max(longest, seconds) : std::min(shortest, seconds);
    }
    EXPECT_GE(longest, kPause) << name;
    EXPECT_LT(shortest, kPause) << name;
  }
  const protocol::Timeline timeline = run("host", -1);
  for (std::size_t i = 1; i < timeline.ops.size(); ++i) {
    const protocol::TimelineOp &before = timeline.ops[i - 1], &op = timeline.ops[i];
    const bool within = op.step == 2 && before.step == 2;
    EXPECT_GE(op.enqueued - before.ended, within ? kPause : 0);
  }
}

TEST(Cursor, SaysWhereARankStandsAndWhatItWaitsFor) {
  const Runs runs;
  const auto file = std::filesystem::path(runs.folder()) / protocol::kCursorFile;
  Activity activity(false, Delays({}, 0));
  activity.cursor().Open(file);
  activity.BeginStep(2);
  const protocol::Action action{1, protocol::ActionKind::kInputGradient, 3};
  activity.BeginOp(7, action);
  {
    const Activity::Wait wait(
        activity, {.state = protocol::CursorState::kReceiving, .peer = 5, .edge = {2, 1, 3, 1, 2}}, Recorder::kNone);
    const protocol::Cursor cursor = protocol::ReadCursor(file).value();
    EXPECT_EQ(cursor.step, 2);
    EXPECT_EQ(cursor.position, 7);
    EXPECT_EQ(cursor.stage, 1);
    EXPECT_EQ(cursor.micro_batch, 3);
    EXPECT_EQ(cursor.kind, static_cast<std::uint32_t>('I'));
    EXPECT_EQ(cursor.state, protocol::CursorState::kReceiving);
    EXPECT_EQ(cursor.peer, 5);
    EXPECT_EQ(cursor.source_stage, 2);
    EXPECT_EQ(cursor.target_stage, 1);
    EXPECT_EQ(cursor.message_micro_batch, 3);
    EXPECT_EQ(cursor.backward, 1);
    EXPECT_EQ(cursor.done, 0);
  }
  EXPECT_EQ(protocol::ReadCursor(file)->state, protocol::CursorState::kComputing);
  EXPECT_EQ(protocol::ReadCursor(file)->peer, -1);
  {
    const Activity::Wait wait(activity, {.group = "data", .number = 9}, Recorder::kNone);
    EXPECT_STREQ(protocol::ReadCursor(file)->group.data(), "data");
    EXPECT_EQ(protocol::ReadCursor(file)->number, 9);
  }
  activity.PassOp();
  EXPECT_EQ(protocol::ReadCursor(file)->position, -1);
  EXPECT_EQ(protocol::ReadCursor(file)->done, 1);
  EXPECT_GE(activity.idle_seconds(), 0);
}

TEST(Cursor, EndsWithTheRun) {
  Runs runs;
  const protocol::Request request = RequestOf(Mlp(), "pp=2,micro_batches=2");
  runs.Run("plan", request);
  const auto cursor = protocol::ReadCursor(protocol::RankFolder(runs.folder() + "/plan", 1) / protocol::kCursorFile);
  ASSERT_TRUE(cursor.has_value());
  EXPECT_EQ(cursor->state, protocol::CursorState::kDone);
  EXPECT_EQ(cursor->step, request.workload.steps);
  EXPECT_EQ(cursor->done, 4 * request.workload.steps);
}

}  // namespace
}  // namespace lockstep::trainer::testing
