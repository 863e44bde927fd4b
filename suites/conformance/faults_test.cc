// Every fault of the catalogue is caught by the check that it names, at the step, phase and tensor that it names, and
// told in its words.
#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <stdexcept>

#include "harness/protocol/files.h"
#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

struct Expected {
  std::string trainer, name, kind, case_id, check, phase, tensor, diagnosis;
  std::int64_t step = 0;
};

void PrintTo(const Expected& fault, std::ostream* out) { *out << fault.name; }

std::vector<Expected> Catalogue(const std::string& trainer) {
  const Outcome outcome = RunProgram("lockstep-trainer-" + trainer + "-faulty", {"--list-faults"});
  std::vector<Expected> faults;
  for (const auto& row : nlohmann::json::parse(outcome.output)) {
    if (row.at("found_by") != "check") continue;  // stuck_test.cc has those that hold a run up
    faults.push_back({trainer, row.at("name"), row.at("kind"), row.at("workload_case"), row.at("check"),
                      row.at("phase"), row.at("tensor"), row.at("diagnosis"), row.at("step")});
  }
  return faults;
}

std::vector<Expected> OnEveryTrainer() {
  std::vector<Expected> all;
  for (const std::string& trainer : ReferenceTrainers()) {
    const std::vector<Expected> faults = Catalogue(trainer);
    all.insert(all.end(), faults.begin(), faults.end());
  }
  return all;
}

std::int64_t RanksOf(const std::string& case_name) {
  for (const ListedCase& each : ListedCases()) {
    if (each.name == case_name) return each.world_size;
  }
  throw std::runtime_error("lockstep list cases does not name " + case_name);
}

class Fault : public testing::TestWithParam<Expected> {};

TEST_P(Fault, IsCaughtWithItsFirstDivergenceAndCause) {
  const Expected& fault = GetParam();
  if (RanksOf(fault.case_id) > MostRanks(fault.trainer)) GTEST_SKIP() << fault.case_id << " needs more ranks";
  const auto folder = OutputFolder(fault.trainer + "_fault_" + fault.name);
  const Outcome outcome =
      RunProgram("lockstep", {"conform", "--trainer", fault.trainer, "--fault", fault.name, "--out", folder});
  ASSERT_EQ(outcome.exit_code, 1) << outcome.output;
  const protocol::Record record = ReadRecord(folder);
  ASSERT_EQ(record.cases.size(), 1u);
  const protocol::CaseResult& result = record.cases[0];
  EXPECT_EQ(result.id, fault.case_id);
  ASSERT_EQ(result.status, protocol::Status::kFail) << result.reason;
  ASSERT_GE(result.deciding_check, 0);
  const auto& check = result.checks.at(static_cast<std::size_t>(result.deciding_check));
  EXPECT_EQ(check.check, fault.check);
  ASSERT_TRUE(check.first_divergence.has_value()) << check.diagnosis;
  EXPECT_EQ(check.first_divergence->step, fault.step) << check.diagnosis;
  EXPECT_EQ(check.first_divergence->phase, fault.phase) << check.diagnosis;
  if (!fault.tensor.empty()) {
    EXPECT_EQ(check.first_divergence->tensor, fault.tensor) << check.diagnosis;
  }
  EXPECT_NE(check.diagnosis.find(fault.diagnosis), std::string::npos) << check.diagnosis;
  EXPECT_NE(outcome.output.find("FAULT CAUGHT: " + fault.name + ", as declared"), std::string::npos) << outcome.output;
}

std::string NameOfParameter(const testing::TestParamInfo<Expected>& info) {
  return TestName(info.param.trainer + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Conformance, Fault, testing::ValuesIn(OnEveryTrainer()), NameOfParameter);

// The reference trainer without a defect, beside a promise of one.
Outcome RunPromise(const std::string& name, const std::string& fault, const std::filesystem::path& folder) {
  const std::filesystem::path own = OutputFolder(name + "_trainer");
  const std::string trainer = LOCKSTEP_SOURCE_DIR "/reference/adapters/kokkos/trainer.toml";
  std::string manifest = protocol::ReadTextFile(trainer);
  const std::size_t begin = manifest.find("faulty_launch"), end = manifest.find("requests_per_launch");
  manifest.replace(
      begin, end - begin,
      "faulty_launch = [\"env\", \"FAULT={fault}\", \"mpirun\", \"--quiet\", \"--oversubscribe\", \"-np\", "
      "\"{world_size}\", \"{bin}/lockstep-trainer-kokkos\", \"{requests}\"]\n"
      "faults = [\"cat\", \"{manifest_dir}/faults.json\"]\n");
  protocol::WriteFileWhole(own / "trainer.toml", manifest);
  protocol::WriteFileWhole(own / "faults.json", fault);
  return RunProgram("lockstep", {"conform", "--trainer", own / "trainer.toml", "--fault", "idle", "--out", folder});
}

TEST(FaultThatNothingCatches, IsNoPass) {
  const auto folder = OutputFolder("fault_missed");
  const Outcome outcome = RunPromise("fault_missed",
                                     R"([{"name": "idle", "kind": "none", "mechanism": "Does nothing.",
      "workload_case": "dp.even/dp=2", "check": "noise_ratio", "step": 1, "phase": "reduction"}])",
                                     folder);
  EXPECT_EQ(outcome.exit_code, 3) << outcome.output;
  EXPECT_NE(outcome.output.find("FAULT NOT CAUGHT: idle, dp.even/dp=2 holds"), std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find("tokens/s"), std::string::npos) << outcome.output;  // nobody's figures
  EXPECT_TRUE(ReadRecord(folder).cases.at(0).performance.empty());
  const Outcome again = RunProgram("lockstep", {"judge", folder});
  EXPECT_EQ(again.exit_code, 3);
  EXPECT_NE(again.output.find("FAULT NOT CAUGHT: idle"), std::string::npos) << again.output;
}

TEST(FaultCatalogue, SpreadsOverEveryKindAndEveryWordIsSaid) {
  std::set<std::string> kinds;
  const auto faults = Catalogue(ReferenceTrainers().front());
  EXPECT_GE(faults.size(), 16u);
  for (const Expected& fault : faults) {
    kinds.insert(fault.kind);
    EXPECT_FALSE(fault.diagnosis.empty()) << fault.name << " names no words of its diagnosis";
  }
  for (const char* kind :
       {"data", "accumulation", "ledger", "optimizer", "clip", "tensor", "pipeline", "precision", "checkpoint"}) {
    EXPECT_TRUE(kinds.count(kind)) << kind;
  }
}

// A check that no fault proves is not done. That the fault's check decides is what
// IsCaughtWithItsFirstDivergenceAndCause demands.
TEST(FaultCatalogue, HasAFaultForEveryCheckToDecide) {
  std::set<std::string> checks;
  for (const auto& row : nlohmann::json::parse(RunProgram("lockstep", {"list", "checks", "--json"}).output)) {
    checks.insert(row.at("name").get<std::string>());
  }
  ASSERT_FALSE(checks.empty());
  for (const std::string& trainer : ReferenceTrainers()) {
    std::set<std::string> deciding;
    for (const Expected& fault : Catalogue(trainer)) deciding.insert(fault.check);
    EXPECT_EQ(deciding, checks) << trainer;
  }
}

}  // namespace
}  // namespace lockstep::conformance
