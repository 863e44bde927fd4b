// The executor runs whatever lines it is given, and says so when a wire is crossed.
#include <gtest/gtest.h>

#include "reference/device/memory.h"
#include "suites/unit/trainer/runs.h"

namespace lockstep::trainer::testing {
namespace {

// Stages that stand on pipeline ranks more than once, which no generator of this trainer's own makes yet.
protocol::Request Looped(std::int64_t pipeline, const std::vector<std::string>& lines) {
  protocol::Request request = RequestOf(Mlp(), "micro_batches=2");
  request.plan.pipeline = pipeline;
  request.plan.chunks = 4 / pipeline;
  request.schedule = {.name = "looped", .stages = 4, .micro_batches = 2, .ranks = {}};
  for (const std::string& line : lines) request.schedule.ranks.push_back(protocol::ParseActions(line, "test"));
  return request;
}

TEST(Executor, RunsSeveralStagesOnOneRankToTheSingleRanksBytes) {
  Runs runs;
  const auto single = runs.Run("single", RequestOf(Mlp(), "micro_batches=2"));
  const auto one = runs.Run("one", Looped(1, {"0F0,1F0,2F0,0F1,3F0,3B0,1F1,2F1,3F1,2B0,1B0,0B0,3B1,2B1,1B1,0B1"}));
  EXPECT_EQ(FirstDifference(single, one), "");
  const auto two = runs.Run("two", Looped(2, {"0F0,0F1,2F0,2F1,2B0,2B1,0B0,0B1", "1F0,1F1,3F0,3F1,3B0,3B1,1B0,1B1"}));
  EXPECT_EQ(FirstDifference(single, two), "");
}

TEST(Executor, AddsGradientsInTheOrderOfTheLine) {
  Runs runs;
  protocol::Request request = RequestOf(Gpt(), "micro_batches=3");
  request.schedule.ranks = {protocol::ParseActions("0F0,0F1,0F2,0B2,0B1,0B0", "test")};
  const auto single = runs.Run("single", request);
  request = RequestOf(Gpt(), "pp=2,micro_batches=3");
  request.schedule.ranks = {protocol::ParseActions("0F0,0F1,0F2,0B2,0B1,0B0", "test"),
                            protocol::ParseActions("1F0,1F1,1F2,1B2,1B1,1B0", "test")};
  EXPECT_EQ(FirstDifference(single, runs.Run("pipeline", request)), "");
  EXPECT_NE(FirstDifference(single, runs.Run("forwards", RequestOf(Gpt(), "micro_batches=3"))), "")
      << "a different order should have rounded differently somewhere";
}

TEST(Executor, FreesActivationsWithTheBackwardThatUsesThem) {
  Runs runs;
  const auto peak = [&](const std::string& schedule) {
    const auto run = runs.Run(schedule, RequestOf(Gpt(), "pp=2,micro_batches=7,schedule=" + schedule));
    return run.ranks().back().done->memory.categories.at("activations");
  };
  // The last stage of 1F1B holds one micro-batch at a time, that of GPipe all seven.
  EXPECT_LT(3 * peak("1f1b"), peak("gpipe"));
}

// Swaps the order in which a rank sends two micro-batches' activations.
class CrossedLink : public Seams {
  void EditRequest(protocol::Request& request, const protocol::Coordinates& at) override {
    if (at.pipeline == 0) request.schedule.ranks[0] = protocol::ParseActions("0F1,0F0,0B0,0B1", "test");
  }
};

TEST(Executor, ReportsACrossedWireInsteadOfTrainingOnIt) {
  Runs runs;
  CrossedLink seams;
  try {
    runs.Run("crossed", RequestOf(Mlp(), "pp=2,micro_batches=2,schedule=gpipe"), seams);
    FAIL() << "micro-batch 1 was taken for micro-batch 0";
  } catch (const device::CommunicationError& error) {
    EXPECT_NE(std::string(error.what()).find("link crossed"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace lockstep::trainer::testing
