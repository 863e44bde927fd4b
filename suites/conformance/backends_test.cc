// What the reference trainers owe each other: they share their algorithms, so where nothing rounds they share their
// bytes.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

namespace fs = std::filesystem;

// Gradients, parameters and optimizer state as loaded and after step 1, which is the exact one, of every rank of every
// run: files by their path below the folder.
std::map<std::string, std::string> ExactTensors(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "runs")) {
    const fs::path& file = entry.path();
    if (file.filename() != "step_000000.safetensors" && file.filename() != "step_000001.safetensors") continue;
    files[fs::relative(file, folder).string()] = protocol::ReadTextFile(file);
  }
  return files;
}

class ExactGridCase : public testing::TestWithParam<std::string> {};

TEST_P(ExactGridCase, GivesTheSameBytesOnEveryReferenceTrainer) {
  const std::vector<std::string> trainers = ReferenceTrainers();
  std::map<std::string, std::string> first;
  for (const std::string& trainer : trainers) {
    const auto folder = OutputFolder(trainer + "_" + GetParam());
    const Outcome outcome =
        RunProgram("lockstep", {"conform", "--trainer", trainer, "--case", GetParam(), "--out", folder});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    const auto files = ExactTensors(folder);
    ASSERT_GT(files.size(), 3u) << "the run left no tensors";
    if (first.empty()) first = files;
    ASSERT_EQ(files.size(), first.size()) << trainer;
    for (const auto& [path, bytes] : files) {
      ASSERT_TRUE(first.contains(path)) << trainer << " alone has " << path;
      EXPECT_TRUE(first[path] == bytes) << trainers.front() << " and " << trainer << " differ in " << path;
    }
  }
}

std::vector<std::string> ExactGridCases() {
  std::vector<std::string> cases;
  for (const std::string& id : TomlStems(LOCKSTEP_SOURCE_DIR "/suites/conformance/cases")) {
    if (id.ends_with(".exact_grid")) cases.push_back(id);
  }
  return cases;
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

}  // namespace
}  // namespace lockstep::conformance
