// What the reference trainers owe each other: they share their algorithms, so where nothing rounds they share their
// bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/protocol/files.h"
#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

namespace fs = std::filesystem;

// Gradients, parameters and optimizer state of every rank of every run, as loaded and after each step up to `last`:
// files by their path below the folder.
std::map<std::string, std::string> Tensors(const fs::path& folder, int last) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "runs")) {
    const fs::path& file = entry.path();
    int step = 0;
    if (std::sscanf(file.filename().c_str(), "step_%d.safetensors", &step) != 1 || step > last) continue;
    files[fs::relative(file, folder).string()] = protocol::ReadTextFile(file);
  }
  return files;
}

void ExpectSame(const std::map<std::string, std::string>& first, const std::map<std::string, std::string>& second,
                const std::string& both) {
  ASSERT_GT(first.size(), 3u) << "the run left no tensors";
  ASSERT_EQ(second.size(), first.size()) << both;
  for (const auto& [path, bytes] : first) {
    ASSERT_TRUE(second.contains(path)) << both << ": one of them has no " << path;
    EXPECT_TRUE(second.at(path) == bytes) << both << " differ in " << path;
  }
}

// All trainers run the same cases.
std::int64_t LeastOfMostRanks() {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const std::string& trainer : ReferenceTrainers()) least = std::min(least, MostRanks(trainer));
  return least;
}

class ExactGridCase : public testing::TestWithParam<std::string> {};

TEST_P(ExactGridCase, GivesTheSameBytesOnEveryReferenceTrainer) {
  const std::vector<std::string> trainers = ReferenceTrainers();
  std::vector<ListedCase> cases = ListedCases();
  std::erase_if(cases, [](const ListedCase& each) { return each.Id() != GetParam(); });
  cases = WithinRanks(cases, LeastOfMostRanks());
  if (cases.empty()) GTEST_SKIP() << "every plan needs more than " << LeastOfMostRanks() << " ranks";
  std::map<std::string, std::string> first;
  for (const std::string& trainer : trainers) {
    const auto folder = OutputFolder(trainer + "_" + GetParam());
    std::vector<std::string> arguments{"conform", "--trainer", trainer, "--out", folder};
    const std::vector<std::string> asked = CaseArguments(cases);
    arguments.insert(arguments.end(), asked.begin(), asked.end());
    const Outcome outcome = RunProgram("lockstep", arguments);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    const auto files = Tensors(folder, 1);  // step 1 is the exact one
    if (first.empty()) first = files;
    ExpectSame(first, files, trainers.front() + " and " + trainer);
  }
}

// Ids of the cases that the check of this name proves: whatever they are called, their numbers are exact.
std::vector<std::string> ExactGridCases() {
  std::set<std::string> ids;
  for (const ListedCase& each : ListedCases()) {
    if (std::count(each.checks.begin(), each.checks.end(), "exact_grid") > 0) ids.insert(each.Id());
  }
  return {ids.begin(), ids.end()};
}

std::string NameOfParameter(const testing::TestParamInfo<std::string>& info) { return TestName(info.param); }

INSTANTIATE_TEST_SUITE_P(Backends, ExactGridCase, testing::ValuesIn(ExactGridCases()), NameOfParameter);

// What a trainer says that it can do, without its name.
nlohmann::json Description(const std::string& trainer) {
  const Outcome outcome = RunProgram("lockstep-trainer-" + trainer, {"--describe"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  nlohmann::json description = nlohmann::json::parse(outcome.output);
  EXPECT_EQ(description["name"], trainer);
  description.erase("name");
  return description;
}

TEST(ReferenceTrainers, CanAllDoTheSame) {
  const std::vector<std::string> trainers = ReferenceTrainers();
  for (const std::string& trainer : trainers) EXPECT_EQ(Description(trainer), Description(trainers.front()));
}

// A wait that the trainer forgot would let something be read before it is written.
TEST(VirtualDevices, GiveTheSameBytesInEveryModeOfStreamsAndOrderOfThreads) {
  const std::vector<std::string> trainers = ReferenceTrainers();
  if (std::count(trainers.begin(), trainers.end(), "cuda") == 0) GTEST_SKIP() << "this build has no CUDA trainer";
  if (MostRanks("cuda") < 8) GTEST_SKIP() << "the quickstart profile needs 8 ranks";
  std::map<std::string, std::string> first;
  for (const auto& [streams, order] : {std::pair{"eager", "forward"}, {"lazy", "reverse"}, {"random", "random"}}) {
    const Variable mode("LOCKSTEP_VIRTUAL_STREAMS", streams), threads("LOCKSTEP_VIRTUAL_ORDER", order);
    const auto folder = OutputFolder(std::string("cuda_quickstart_") + streams);
    const Outcome outcome =
        RunProgram("lockstep", {"conform", "--trainer", "cuda", "--profile", "quickstart", "--out", folder});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    if (!OnVirtualDevices(folder)) GTEST_SKIP() << "this build of the CUDA trainer runs on GPUs";
    const auto files = Tensors(folder, 1000);
    if (first.empty()) first = files;
    ExpectSame(first, files, std::string("eager and ") + streams + " streams");
  }
}

}  // namespace
}  // namespace lockstep::conformance
