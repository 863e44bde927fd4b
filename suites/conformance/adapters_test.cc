// Somebody else's trainer through the same door: PyTorch's DistributedDataParallel on the core profile.
#include <gtest/gtest.h>

#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

TEST(PyTorchDdp, HoldsTheCoreProfileButForWhatItsManifestWaives) {
  const auto folder = OutputFolder("pytorch_ddp_core");
  const Outcome outcome =
      RunProgram("lockstep", {"conform", "--trainer", "pytorch-ddp", "--profile", "core", "--out", folder});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  std::size_t passed = 0, waived = 0;
  for (const protocol::CaseResult& result : ReadRecord(folder).cases) {
    passed += result.status == protocol::Status::kPass;
    waived += result.status == protocol::Status::kWaived;
  }
  EXPECT_GE(passed, 8u);
  EXPECT_GE(waived, 1u) << "its mean of means under uneven valid tokens was not seen";
}

}  // namespace
}  // namespace lockstep::conformance
