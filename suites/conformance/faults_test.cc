// Every fault of the catalogue is caught by the check that it names, at the step, phase and tensor that it names, and
// told in its words.
#include <gtest/gtest.h>

#include <ostream>
#include <set>
#include <stdexcept>

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
}

std::string NameOfParameter(const testing::TestParamInfo<Expected>& info) {
  return TestName(info.param.trainer + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Conformance, Fault, testing::ValuesIn(OnEveryTrainer()), NameOfParameter);

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

// Rule 7 of the design: a check that no fault proves is not done. That the fault's check decides is what
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
