// A workload that is too large for its devices ends at once, said by device, category and bytes, and leaves nobody
// behind.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTooLarge = R"([model]
kind = "gpt"
layers = 4
width = 256
heads = 4
mlp_width = 1024
vocabulary = 4096
sequence = 128
[optimizer]
kind = "adamw"
learning_rate = 0.01
[training]
precision = "fp32"
global_batch = 16
steps = 2
seed = 1
)";

// Command lines of living processes that name `folder`.
std::vector<std::string> ProcessesOf(const fs::path& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    if (line.find(folder.string()) != std::string::npos) found.push_back(line.c_str());
  }
  return found;
}

// trainer, variable that caps the memory of each rank's device at 64 MiB
class OutOfMemory : public testing::TestWithParam<std::pair<std::string, const char*>> {};

TEST_P(OutOfMemory, NamesDeviceCategoryAndBytesAndLeavesNoProcessAndNoPeerWaiting) {
  const auto& [trainer, variable] = GetParam();
  const fs::path folder = OutputFolder(trainer + "_" + variable);
  const fs::path workload = folder / "too_large.toml";
  std::ofstream(workload) << kTooLarge;
  const Variable cap(variable, "67108864");
  const std::int64_t ranks = MostRanks(trainer);
  const std::string plan = ranks >= 4 ? "dp=2,pp=2" : ranks >= 2 ? "dp=2" : "dp=1";
  const Outcome outcome = RunProgram(
      "lockstep", {"conform", "--trainer", trainer, "--workload", workload, "--plan", plan, "--out", folder / "out"});
  const protocol::Record record = ReadRecord(folder / "out");
  ASSERT_EQ(record.cases.size(), 1u);
  if (std::string_view(variable).find("VIRTUAL") != std::string_view::npos && !OnVirtualDevices(folder)) {
    GTEST_SKIP() << "this build of " << trainer << " runs on GPUs";
  }
  EXPECT_EQ(outcome.exit_code, 4) << outcome.output;
  EXPECT_EQ(record.cases[0].status, protocol::Status::kError);
  const std::string& reason = record.cases[0].reason;
  EXPECT_NE(reason.find("out of memory: rank"), std::string::npos) << reason;
  EXPECT_NE(reason.find("'s device "), std::string::npos) << reason;
  EXPECT_NE(reason.find(" wants "), std::string::npos) << reason;
  EXPECT_NE(reason.find(" bytes, "), std::string::npos) << reason;
  EXPECT_NE(reason.find("67108864"), std::string::npos) << reason;
  EXPECT_EQ(outcome.output.find("deadline"), std::string::npos) << "a peer was left waiting: " << outcome.output;
  EXPECT_TRUE(ProcessesOf(folder).empty()) << ProcessesOf(folder).front();
}

std::vector<std::pair<std::string, const char*>> Caps() {
  std::vector<std::pair<std::string, const char*>> caps;
  for (const std::string& trainer : ReferenceTrainers()) {
    caps.emplace_back(trainer, "LOCKSTEP_MEMORY_BYTES");
    if (trainer == "cuda") caps.emplace_back(trainer, "LOCKSTEP_VIRTUAL_MEMORY_BYTES");
  }
  return caps;
}

std::string NameOfParameter(const testing::TestParamInfo<OutOfMemory::ParamType>& info) {
  return TestName(info.param.first + "_" + info.param.second);
}

INSTANTIATE_TEST_SUITE_P(Conformance, OutOfMemory, testing::ValuesIn(Caps()), NameOfParameter);

}  // namespace
}  // namespace lockstep::conformance
