#include "harness/stalls/trace/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::stalls {
namespace {

using nlohmann::json;
using protocol::ActionKind;
using protocol::Timeline;

// Stage 0 sends one micro-batch to stage 1 in each of three steps; rank 1 holds the last two.
std::vector<Timeline> TwoStages() {
  std::vector<Timeline> ranks(2);
  for (std::int64_t rank = 0; rank < 2; ++rank) {
    Timeline& timeline = ranks[static_cast<std::size_t>(rank)];
    timeline.clock = {rank, 0, 0, 0, 1 + rank, 3, {}};
    for (std::int64_t step = 1 + rank; step <= 3; ++step) {
      const double at = static_cast<double>(step);
      timeline.steps.push_back({step, {at, at + 0.9}});
      const double began = rank == 0 ? at : at + 0.3;
      timeline.ops.push_back({step, 0, {rank, ActionKind::kForward, 0}, at, began, began, began + 0.2, 4096, 1024});
      protocol::TimelineMessage message{step, rank == 0, false, 1 - rank, 0, 1, 0, 4096, at + 0.2, at + 0.3, {}};
      if (rank == 1) message.wait = protocol::Interval{at, at + 0.3};
      if (rank == 1) message.posted = at;
      timeline.messages.push_back(message);
    }
  }
  return ranks;
}

stalls::Run RunOf(std::vector<Timeline> ranks) {
  protocol::Plan plan;
  plan.pipeline = 2;
  const protocol::Schedule schedule{"1f1b", 2, 1, {{{0, ActionKind::kForward, 0}}, {{1, ActionKind::kForward, 0}}}};
  return Join("two stages", plan, schedule, std::move(ranks));
}

struct Exported {
  TraceWritten written;
  json file;
  std::vector<json> Of(const std::string& phase, const std::string& category) const {
    std::vector<json> found;
    for (const json& event : file.at("traceEvents")) {
      if (event.at("ph") == phase && event.value("cat", "") == category) found.push_back(event);
    }
    return found;
  }
};

Exported Export(const stalls::Run& run) {
  const std::string file = testing::TempDir() + "export_test.json";
  const TraceWritten written = WriteChromeTrace(file, run, Attribute(run));
  return {written, protocol::ReadJson(file)};
}

TEST(TraceOfARun, ShowsTheStepsThatEveryRankHolds) {
  const Exported trace = Export(RunOf(TwoStages()));
  EXPECT_EQ(trace.Of("X", "step").size(), 4u);
  EXPECT_EQ(trace.Of("X", "op").size(), 4u);
  EXPECT_EQ(trace.Of("X", "message").size(), 4u);
  EXPECT_EQ(trace.Of("s", "message").size(), 2u);
  EXPECT_EQ(trace.written.flows, 2);
  EXPECT_EQ(trace.written.counters, 8);
}

TEST(TraceOfARun, BeginsAtItsEarliestEvent) {
  std::vector<Timeline> ranks = TwoStages();
  const json file = Export(RunOf(ranks)).file;
  double earliest = 1e300;
  for (const json& event : file.at("traceEvents")) earliest = std::min(earliest, event.value("ts", 1e300));
  EXPECT_GE(earliest, 0);
  EXPECT_LE(earliest, 1e6 + 1);  // step 1 is rank 0's alone
  EXPECT_EQ(file.at("otherData").at("plan"), "pp=2");
}

TEST(TraceOfARun, LeavesOutAnArrowThatWouldLeadBackInTimeAndSaysSo) {
  std::vector<Timeline> ranks = TwoStages();
  protocol::TimelineMessage& receive = ranks[1].messages[0];
  receive.ended = ranks[0].messages[1].posted - 0.1;  // before it was sent, on clocks that are sure
  receive.wait.reset();
  const Exported trace = Export(RunOf(ranks));
  EXPECT_EQ(trace.written.flows, 1);
  EXPECT_EQ(trace.written.flows_left_out, 1);
  EXPECT_EQ(trace.file.at("otherData").at("flows_left_out"), 1);
}

TEST(TraceOfARun, RefusesTimesThatNoRunHas) {
  std::vector<Timeline> ranks = TwoStages();
  ranks[0].ops[0].ended = 1e12;
  const stalls::Run run = RunOf(ranks);
  EXPECT_THROW(WriteChromeTrace(testing::TempDir() + "export_test.json", run, Attribute(run)), protocol::BadInput);
}

}  // namespace
}  // namespace lockstep::stalls
