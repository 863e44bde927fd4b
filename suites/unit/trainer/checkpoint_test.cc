// A checkpoint goes on under any layout, and is refused where it isn't whole.
#include "reference/trainer/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "harness/protocol/bad_input.h"
#include "suites/unit/trainer/runs.h"

namespace lockstep::trainer::testing {
namespace {

namespace fs = std::filesystem;

protocol::Workload WithState() {
  protocol::Workload workload = Gpt();
  workload.optimizer.kind = protocol::OptimizerKind::kMomentum;
  workload.steps = 4;
  return workload;
}

protocol::Request Saving(const std::string& plan, bool sharded) {
  protocol::Request request = RequestOf(WithState(), plan);
  request.checkpoint.save_after = 2;
  request.checkpoint.save_to = "checkpoint";
  request.checkpoint.sharded = sharded;
  return request;
}

protocol::Request Resuming(const std::string& plan) {
  protocol::Request request = RequestOf(WithState(), plan);
  request.checkpoint.resume_from = "../saved/checkpoint";
  request.checkpoint.resume_step = 2;
  return request;
}

class CheckpointKind : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(WholeAndSharded, CheckpointKind, ::testing::Bool(),
                         [](const auto& kind) { return kind.param ? "Sharded" : "Whole"; });

TEST_P(CheckpointKind, GoesOnToTheSameBytes) {
  Runs runs;
  const auto saved = runs.Run("saved", Saving("dp=2,pp=2,micro_batches=2", GetParam()));
  const auto resumed = runs.Run("resumed", Resuming("dp=2,pp=2,micro_batches=2"));
  EXPECT_EQ(FirstDifference(saved, resumed, 3), "");
}

TEST_P(CheckpointKind, IsLoadedUnderAnotherLayoutToTheLastByte) {
  Runs runs;
  const auto saved = runs.Run("saved", Saving("dp=2,tp=3", GetParam()));
  const auto resumed = runs.Run("resumed", Resuming("pp=3,tp=2,micro_batches=2"));
  for (const protocol::Parameter& parameter : protocol::Parameters(WithState().model)) {
    for (const std::string& name : {"param/" + parameter.name, "state/" + parameter.name + "/momentum"}) {
      EXPECT_EQ(saved.Gather(2, name, parameter.shape), resumed.Gather(2, name, parameter.shape)) << name;
    }
  }
  EXPECT_LE(LargestError(resumed, runs.folder() + "/resumed"), 1e-5);
}

TEST(Checkpoint, RefusesAnotherStep) {
  Runs runs;
  runs.Run("saved", Saving("single", false));
  protocol::Request request = Resuming("single");
  request.checkpoint.resume_step = 1;
  EXPECT_THROW(runs.Run("resumed", request), protocol::BadInput);
}

TEST(Checkpoint, RefusesAMissingShard) {
  Runs runs;
  runs.Run("saved", Saving("tp=2", true));
  fs::remove(fs::path(runs.folder()) / "saved/checkpoint/rank_00001.safetensors");
  EXPECT_THROW(runs.Run("resumed", Resuming("single")), protocol::BadInput);
}

TEST(Checkpoint, RefusesElementsThatNoFileHolds) {
  Runs runs;
  runs.Run("saved", Saving("tp=2", true));
  const fs::path folder = fs::path(runs.folder()) / "saved/checkpoint";
  fs::copy_file(folder / "rank_00000.safetensors", folder / "rank_00001.safetensors",
                fs::copy_options::overwrite_existing);
  try {
    runs.Run("resumed", Resuming("single"));
    FAIL() << "half of the heads were made up";
  } catch (const protocol::BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("no file holds all of it"), std::string::npos) << error.what();
  }
}

TEST(Checkpoint, RefusesAFolderWithout) { EXPECT_THROW(CheckpointFiles("/nonexistent", 1), protocol::BadInput); }

}  // namespace
}  // namespace lockstep::trainer::testing
