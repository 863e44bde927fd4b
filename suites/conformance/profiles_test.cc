// Every profile, on every reference trainer, as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "harness/protocol/files.h"
#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

using protocol::Status;

// trainer, profile
class Profile : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

// Judging again needs no trainer and gives the same figures.
void ExpectSameVerdicts(const protocol::Record& before, const protocol::Record& after) {
  ASSERT_EQ(after.cases.size(), before.cases.size());
  for (std::size_t i = 0; i < before.cases.size(); ++i) {
    const protocol::CaseResult &first = before.cases[i], &again = after.cases[i];
    EXPECT_EQ(again.id, first.id);
    ASSERT_EQ(again.checks.size(), first.checks.size()) << first.id;
    for (std::size_t c = 0; c < first.checks.size(); ++c) {
      EXPECT_EQ(again.checks[c].status, first.checks[c].status) << first.id << ": " << first.checks[c].check;
      EXPECT_EQ(again.checks[c].measured, first.checks[c].measured) << first.id << ": " << first.checks[c].check;
    }
  }
}

TEST_P(Profile, HoldsAndIsJudgedAgainToTheSameVerdicts) {
  const auto& [trainer, profile] = GetParam();
  const auto folder = OutputFolder(trainer + "_" + profile);
  const Outcome outcome =
      RunProgram("lockstep", {"conform", "--trainer", trainer, "--profile", profile, "--out", folder});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  const protocol::Record record = ReadRecord(folder);
  EXPECT_TRUE(record.complete);
  EXPECT_FALSE(record.cases.empty());
  for (const protocol::CaseResult& result : record.cases) {
    EXPECT_EQ(result.status, Status::kPass) << result.id << ": " << result.reason;
    EXPECT_FALSE(result.checks.empty()) << result.id;
    for (const protocol::CheckResult& check : result.checks) {
      EXPECT_GT(check.compared, 0) << result.id << ": " << check.check;
    }
  }
  const Outcome judged = RunProgram("lockstep", {"judge", folder});
  EXPECT_EQ(judged.exit_code, 0) << judged.output;
  ExpectSameVerdicts(record, ReadRecord(folder));
}

std::string NameOfParameter(const testing::TestParamInfo<Profile::ParamType>& info) {
  return TestName(std::get<0>(info.param) + "_" + std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Conformance, Profile,
                         testing::Combine(testing::ValuesIn(ReferenceTrainers()),
                                          testing::ValuesIn(TomlStems(LOCKSTEP_SOURCE_DIR
                                                                      "/suites/conformance/profiles"))),
                         NameOfParameter);

TEST(Profiles, HaveEightyCasesTogetherAndNoCaseIsInNone) {
  const Outcome cases = RunProgram("lockstep", {"list", "cases"});
  ASSERT_EQ(cases.exit_code, 0) << cases.output;
  EXPECT_GE(std::count(cases.output.begin(), cases.output.end(), '\n'), 80);
  std::string named;
  for (const std::string& profile : TomlStems(LOCKSTEP_SOURCE_DIR "/suites/conformance/profiles")) {
    named += protocol::ReadTextFile(std::filesystem::path(LOCKSTEP_SOURCE_DIR "/suites/conformance/profiles") /
                                    (profile + ".toml"));
  }
  for (const std::string& id : TomlStems(LOCKSTEP_SOURCE_DIR "/suites/conformance/cases")) {
    EXPECT_NE(named.find('"' + id + '"'), std::string::npos) << id << " is in no profile";
  }
}

}  // namespace
}  // namespace lockstep::conformance
