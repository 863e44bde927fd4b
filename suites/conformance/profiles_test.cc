// Every profile, on the reference trainer, as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/protocol/files.h"
#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

using protocol::Status;

class Profile : public testing::TestWithParam<std::string> {};

TEST_P(Profile, HoldsOnTheKokkosTrainer) {
  const auto folder = OutputFolder("kokkos_" + GetParam());
  const Outcome outcome = Run("lockstep", {"conform", "--trainer", "kokkos", "--profile", GetParam(), "--out", folder});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
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
}

TEST_P(Profile, IsJudgedAgainToTheSameVerdicts) {
  const auto folder = OutputFolder("judge_" + GetParam());
  ASSERT_EQ(Run("lockstep", {"conform", "--profile", GetParam(), "--out", folder}).exit_code, 0);
  const protocol::Record before = ReadRecord(folder);
  const Outcome outcome = Run("lockstep", {"judge", folder});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  const protocol::Record after = ReadRecord(folder);
  ASSERT_EQ(after.cases.size(), before.cases.size());
  for (std::size_t i = 0; i < before.cases.size(); ++i) {
    EXPECT_EQ(after.cases[i].id, before.cases[i].id);
    ASSERT_EQ(after.cases[i].checks.size(), before.cases[i].checks.size()) << before.cases[i].id;
    for (std::size_t c = 0; c < before.cases[i].checks.size(); ++c) {
      EXPECT_EQ(after.cases[i].checks[c].status, before.cases[i].checks[c].status) << before.cases[i].id;
      EXPECT_EQ(after.cases[i].checks[c].measured, before.cases[i].checks[c].measured) << before.cases[i].id;
    }
  }
}

std::string NameOfParameter(const testing::TestParamInfo<std::string>& info) { return TestName(info.param); }

INSTANTIATE_TEST_SUITE_P(Conformance, Profile,
                         testing::ValuesIn(TomlStems(LOCKSTEP_SOURCE_DIR "/suites/conformance/profiles")),
                         NameOfParameter);

TEST(Profiles, HaveEightyCasesTogetherAndNoCaseIsInNone) {
  const Outcome cases = Run("lockstep", {"list", "cases"});
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
