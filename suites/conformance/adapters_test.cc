// Somebody else's trainer through the same door: PyTorch's DistributedDataParallel on the core profile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

using protocol::Status;

// Where replicas have different numbers of valid targets, DDP's mean of means is not the mean: what is known to differ,
// to the last case. One more or one fewer is news, and belongs here and in the manifest's waivers.
const std::vector<std::string> kWaived = {
    "acc.uneven_micro_batches/dp=2,micro_batches=3",
    "acc.uneven_tokens/dp=2,micro_batches=5",
    "ckpt.epochs/dp=2",
    "ckpt.whole/dp=2",
    "ckpt.whole/single",
    "data.epochs/dp=2",
    "data.epochs/dp=3",
    "data.epochs/dp=4",
    "dp.dropout/dp=2",
    "dp.dropout/dp=3,micro_batches=2",
    "dp.indivisible_batch/dp=2",
    "dp.indivisible_batch/dp=3",
    "dp.indivisible_batch/dp=4",
    "dp.one_head/dp=2",
    "dp.one_head/dp=3",
    "dp.overlap/dp=2,micro_batches=2",
    "dp.overlap/dp=3,bucket_bytes=2048",
    "dp.tied_weights/dp=2",
    "dp.tied_weights/dp=2,micro_batches=3",
    "dp.uneven_tokens/dp=2",
    "dp.uneven_tokens/dp=3,micro_batches=2",
    "dp.uneven_tokens/dp=4",
    "opt.adamw/dp=2",
    "opt.adamw/dp=3,micro_batches=2",
    "opt.momentum_clip/dp=2,micro_batches=2",
    "opt.momentum_clip/dp=3",
};

TEST(PyTorchDdp, HoldsEveryCaseOfTheCoreProfileButWhatItsManifestWaives) {
  const auto folder = OutputFolder("pytorch_ddp_core");
  const Outcome outcome =
      RunProgram("lockstep", {"conform", "--trainer", "pytorch-ddp", "--profile", "core", "--out", folder});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  std::map<Status, std::vector<std::string>> cases;
  for (const protocol::CaseResult& result : ReadRecord(folder).cases) {
    cases[result.status].push_back(result.id);
    if (result.status != Status::kWaived) continue;
    ASSERT_GE(result.deciding_check, 0) << result.id;
    const auto& check = result.checks.at(static_cast<std::size_t>(result.deciding_check));
    EXPECT_THAT(check.diagnosis, testing::HasSubstr("mean of means")) << result.id;
  }
  EXPECT_THAT(cases[Status::kWaived], testing::UnorderedElementsAreArray(kWaived));
  EXPECT_THAT(cases[Status::kUnsupported], testing::IsEmpty());
  EXPECT_GE(cases[Status::kPass].size(), 17u);
}

}  // namespace
}  // namespace lockstep::conformance
