// Where the time of a whole run went, for records and metrics.
#include "harness/stalls/figures.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "harness/schedule/generate.h"
#include "harness/stalls/attribution.h"
#include "suites/unit/stalls/expect.h"
#include "suites/unit/stalls/scene.h"

namespace lockstep::stalls {
namespace {

namespace fs = std::filesystem;

// A run's folder with the timelines of a scene, and its steps as their events tell them.
class FiguresOfARun : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::path(testing::TempDir()) / "lockstep_stalls_figures_XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    request_.id = "scene";
    request_.plan = scene_.plan;
    request_.schedule = schedule::Generate(scene_.plan);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Leave(const protocol::Timeline& timeline) {
    const fs::path folder = protocol::RankFolder(folder_, timeline.clock.rank);
    fs::create_directories(folder);
    protocol::WriteTimeline(folder / protocol::kTimelineFile, timeline);
    protocol::RankEvidence rank;
    rank.hello.rank = timeline.clock.rank;
    for (std::int64_t step = 1; step <= scene_.steps; ++step) {
      protocol::StepEvent event;
      event.step = step;
      event.idle_seconds = 10;
      rank.steps.push_back(event);
    }
    ranks_.push_back(rank);
  }

  Scene scene_ = SceneOf("pp=2,m=4");
  fs::path folder_;
  protocol::Request request_;
  std::vector<protocol::RankEvidence> ranks_;
};

TEST_F(FiguresOfARun, AreSecondsByCategoryOfAllStepsAndTheBubbleBesideTheFormulas) {
  for (const protocol::Timeline& timeline : scene_.Timelines()) Leave(timeline);
  const RunFigures figures = FiguresOf(folder_, request_, ranks_);
  ASSERT_EQ(figures.seconds.size(), 2u);
  for (const auto& seconds : figures.seconds) {
    EXPECT_NEAR(seconds.at("compute"), 6 * 4 * 3, kExact);
    EXPECT_NEAR(seconds.at("bubble"), 6 * 3, kExact);
    EXPECT_FALSE(seconds.contains("untraced"));
  }
  EXPECT_NEAR(figures.bubble_ratio.value(), 3.0 / 15, 1e-6);
  EXPECT_NEAR(figures.bubble_expected_ratio.value(), 1.0 / 5, 1e-6);  // (p-1)/(m+p-1)
}

TEST_F(FiguresOfARun, CallIdleTimeUntracedThatTheRingNoLongerHolds) {
  for (protocol::Timeline timeline : scene_.Timelines()) {
    timeline.clock.first_step = 3;
    const auto old = [](const auto& each) { return each.step < 3; };
    std::erase_if(timeline.steps, old);
    std::erase_if(timeline.ops, old);
    std::erase_if(timeline.messages, old);
    std::erase_if(timeline.collectives, old);
    Leave(timeline);
  }
  const RunFigures figures = FiguresOf(folder_, request_, ranks_);
  EXPECT_EQ(figures.seconds.at(1).at("untraced"), 2 * 10);
  EXPECT_NEAR(figures.seconds.at(1).at("bubble"), 4 * 3, kExact);
}

TEST_F(FiguresOfARun, AreNoneWhereARankLeftNoTimeline) {
  Leave(scene_.Timelines()[0]);
  const RunFigures figures = FiguresOf(folder_, request_, ranks_);
  EXPECT_TRUE(figures.seconds.empty());
  EXPECT_FALSE(figures.bubble_ratio.has_value());
}

}  // namespace
}  // namespace lockstep::stalls
