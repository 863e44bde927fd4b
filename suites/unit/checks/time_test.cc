// The checks of time, on runs whose every moment is known: what holds passes, and each way to be wrong is told.
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "harness/schedule/generate.h"
#include "suites/unit/checks/expect.h"
#include "suites/unit/stalls/scene.h"

namespace lockstep::checks {
namespace {

using protocol::Delay;
using protocol::Timeline;

// A scene of the stalls' tests as evidence on disk, with a request that says which delays were asked for.
struct TimedRun {
  explicit TimedRun(const std::string& plan) : scene(stalls::SceneOf(plan)) {
    scene.steps = 8;
    scene.optimizer = 0.5;
  }

  // Asked for and made.
  void Make(const Delay& delay) {
    asked.push_back(delay);
    made.push_back(delay);
  }

  protocol::CheckResult Judge(const std::string& check) {
    scene.extra = [this](const stalls::Moment& at) { return Extra(at); };
    std::string pattern = std::filesystem::temp_directory_path() / "lockstep_time_XXXXXX";
    const std::filesystem::path folder = ::mkdtemp(pattern.data());
    protocol::Request request;
    request.id = "scene";
    request.workload = MlpWorkload();
    request.workload.steps = scene.steps;
    request.plan = scene.plan;
    request.schedule = schedule::Generate(scene.plan);
    request.evidence = {.gradients = false, .clipped_gradients = false, .parameters = false, .optimizer_state = false};
    request.delays = asked;
    std::vector<Timeline> timelines = scene.Timelines();
    if (change) change(timelines);
    for (const Timeline& timeline : timelines) Write(folder, timeline);
    const protocol::RunEvidence evidence = protocol::RunEvidence::Read(folder, request);
    const protocol::Inputs inputs;
    const oracle::Trace trace;
    protocol::CheckResult result;
    for (const Check* known : AllChecks()) {
      Runs runs;
      runs.candidate = &evidence;
      if (known->name == check) result = known->run({request.workload, request.plan, inputs, trace, runs});
    }
    std::filesystem::remove_all(folder);
    EXPECT_EQ(result.check, check);
    return result;
  }

  stalls::Scene scene;
  std::vector<Delay> asked, made;
  std::function<void(std::vector<Timeline>&)> change;
  double said = 1;  // wall time of the events over the timeline's

 private:
  double Extra(const stalls::Moment& at) const {
    return std::accumulate(made.begin(), made.end(), 0.0, [&](double sum, const Delay& delay) {
      const bool here = delay.rank == at.rank && delay.operation == at.name &&
                        (delay.step == 0 || delay.step == at.step) &&
                        (delay.micro_batch < 0 || delay.micro_batch == at.micro_batch);
      return sum + (here ? delay.seconds : 0);
    });
  }

  void Write(const std::filesystem::path& folder, const Timeline& timeline) const {
    const std::int64_t rank = timeline.clock.rank, size = scene.plan.WorldSize();
    protocol::EvidenceWriter writer(folder, rank);
    protocol::Hello hello{rank, size, 100 + rank, "host", "host", "cpu", "scene", "1", {}, {}, {}};
    hello.effective.plan = scene.plan;
    hello.effective.at = scene.plan.At(rank);
    for (std::int64_t device = 0; device < size; ++device) hello.effective.devices.push_back(device);
    writer.Write(hello);
    for (const auto& step : timeline.steps) {
      protocol::StepEvent event;
      event.step = step.step;
      event.loss = event.gradient_norm = event.learning_rate = 1;
      event.wall_seconds = (step.time.ended - step.time.began) * said;
      writer.Write(event);
    }
    protocol::Done done;
    done.steps = scene.steps;
    writer.Write(done);
    if (!timeline.ops.empty()) {
      protocol::WriteTimeline(protocol::RankFolder(folder, rank) / protocol::kTimelineFile, timeline);
    }
  }
};

TEST(AttributionCheck, HoldsWhereEveryDelayIsChargedToWhoHadIt) {
  TimedRun run("dp=2,pp=2,m=4");
  run.scene.host = run.scene.send = run.scene.data = 0.01;
  run.Make({.rank = 1, .operation = "B", .seconds = 3, .step = 4, .micro_batch = 2});
  run.Make({.rank = 2, .operation = "send", .seconds = 2, .step = 5, .micro_batch = 0});
  run.Make({.rank = 3, .operation = "data", .seconds = 2, .step = 6});
  run.Make({.rank = 0, .operation = "host", .seconds = 0.5, .step = 7});
  ExpectPass(run.Judge("attribution"));
}

TEST(AttributionCheck, HoldsForAStageThatIsAlwaysSlow) {
  TimedRun run("pp=4,m=4");
  run.Make({.rank = 1, .operation = "F", .seconds = 2});
  ExpectPass(run.Judge("attribution"));
}

TEST(AttributionCheck, HoldsForAReplicaThatIsAlwaysSlow) {
  TimedRun run("dp=2,m=2");
  run.Make({.rank = 1, .operation = "B", .seconds = 2, .step = 0, .micro_batch = 0});
  ExpectPass(run.Judge("attribution"));
}

// The machine did something else in one of the steps.
TEST(AttributionCheck, HoldsWhereOneOfSeveralChargesIsOff) {
  TimedRun run("pp=2,m=4");
  for (const std::int64_t step : {4, 6, 8})
    run.Make({.rank = 0, .operation = "B", .seconds = 2, .step = step, .micro_batch = 1});
  run.made.push_back({.rank = 0, .operation = "B", .seconds = 1.5, .step = 6, .micro_batch = 0});
  run.made.push_back({.rank = 1, .operation = "F", .seconds = 1.5, .step = 8, .micro_batch = 3});
  ExpectPass(run.Judge("attribution"));
}

TEST(AttributionCheck, AllowsAsMuchAsStepsWithoutDelaysDiffer) {
  TimedRun run("pp=2,m=4");
  run.Make({.rank = 0, .operation = "B", .seconds = 2, .step = 6, .micro_batch = 1});
  run.made.push_back({.rank = 0, .operation = "B", .seconds = 0.5, .step = 6, .micro_batch = 0});
  ExpectFail(run.Judge("attribution"), 6, "time", "rank 0: B was made 2000.00 ms longer in step 6, and 2500.00 ms");
  run.made.push_back({.rank = 1, .operation = "F", .seconds = 0.5, .step = 4, .micro_batch = 2});
  ExpectPass(run.Judge("attribution"));
}

TEST(AttributionCheck, SeesADelayThatNobodyIsChargedWith) {
  TimedRun run("pp=2,m=4");
  run.asked.push_back({.rank = 1, .operation = "F", .seconds = 2, .step = 5, .micro_batch = 1});
  ExpectFail(run.Judge("attribution"), 5, "time",
             "rank 1: F was made 2000.00 ms longer in step 5, and 0.00 ms are charged to it");
}

TEST(AttributionCheck, SeesADelayOfAnotherRank) {
  TimedRun run("pp=2,m=4");
  run.asked.push_back({.rank = 1, .operation = "F", .seconds = 2, .step = 5, .micro_batch = 1});
  run.made.push_back({.rank = 0, .operation = "F", .seconds = 2, .step = 5, .micro_batch = 1});
  const auto result = run.Judge("attribution");
  ExpectFail(result, 5, "time", "rank 1: F was made 2000.00 ms longer");
  EXPECT_THAT(result.diagnosis, testing::HasSubstr("2 differences"));
}

// What traceml#252 could not tell: the wait for the slow replica stands in the other's backward.
TEST(AttributionCheck, SeesAWaitThatARankTakesForItsOwnWork) {
  TimedRun run("dp=2,m=2");
  run.Make({.rank = 1, .operation = "B", .seconds = 3, .step = 5, .micro_batch = 0});
  run.change = [](std::vector<Timeline>& timelines) {
    for (auto& event : timelines[0].collectives) {
      if (event.group != "data" || !event.wait) continue;
      for (auto& op : timelines[0].ops) {
        if (op.step == event.step && op.ended == event.wait->began) op.ended = event.wait->ended;
      }
      event.posted = event.wait->ended;
      event.wait.reset();
    }
  };
  ExpectFail(run.Judge("attribution"), 5, "time",
             "rank 0: B is charged with 3000.00 ms too, in the step 5 that rank 1: B was made 3000.00 ms longer");
}

TEST(AttributionCheck, SeesAStepThatTookLongerThanItsTimelineTells) {
  TimedRun run("pp=2,m=2");
  run.said = 1.01;
  ExpectFail(run.Judge("attribution"), 1, "time", "and the step took");
}

TEST(AttributionCheck, SeesTimeThatNothingTells) {
  TimedRun run("pp=2,m=2");
  run.change = [](std::vector<Timeline>& timelines) {
    std::erase_if(timelines[1].spans, [](const auto& span) { return span.name == "optimizer"; });
  };
  ExpectFail(run.Judge("attribution"), 3, "time", "of rank 1's time is told by nothing");
}

TEST(AttributionCheck, SeesAMessageWithoutItsOtherEnd) {
  TimedRun run("pp=2,m=2");
  run.change = [](std::vector<Timeline>& timelines) {
    std::erase_if(timelines[0].messages, [](const auto& each) { return each.send && each.step == 4; });
  };
  ExpectFail(run.Judge("attribution"), 1, "time", "was sent by nobody");
}

TEST(AttributionCheck, RefusesARankWithoutATimeline) {
  TimedRun run("pp=2,m=2");
  run.change = [](std::vector<Timeline>& timelines) { timelines[1].ops.clear(); };
  ExpectRefused(run.Judge("attribution"), "the trainer left no timeline of this rank");
}

TEST(IdleIsTheSchedules, HoldsWhereMessagesArriveAtOnce) {
  for (const char* plan : {"pp=2,m=4", "pp=4,m=8", "pp=4,m=8,schedule=gpipe", "dp=2,pp=2,m=4"}) {
    TimedRun run(plan);
    ExpectPass(run.Judge("idle_is_the_schedules"));
  }
}

TEST(IdleIsTheSchedules, NamesALinkThatIsSlow) {
  TimedRun run("pp=2,m=4");
  run.scene.latency = 2;
  const auto result = run.Judge("idle_is_the_schedules");
  ExpectFail(result, 3, "time", "most waited for: link from rank ");
  EXPECT_THAT(result.diagnosis, testing::HasSubstr("(p-1)(F+B) allows"));
}

TEST(IdleIsTheSchedules, NamesAStageThatStarvesTheOthers) {
  TimedRun run("pp=2,m=4");
  run.Make({.rank = 1, .operation = "F", .seconds = 2});
  ExpectFail(run.Judge("idle_is_the_schedules"), 3, "time", "most waited for: rank 1: F of stage 1");
}

}  // namespace
}  // namespace lockstep::checks
