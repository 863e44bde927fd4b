// Every profile, on every reference trainer, as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
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

// The profile's cases, every plan of each.
std::vector<ListedCase> CasesOf(const std::string& profile) {
  std::set<std::string> ids;
  for (const auto& row : nlohmann::json::parse(RunProgram("lockstep", {"list", "profiles", "--json"}).output)) {
    if (row.at("name") == profile) row.at("cases").get_to(ids);
  }
  std::vector<ListedCase> cases = ListedCases();
  std::erase_if(cases, [&](const ListedCase& each) { return !ids.contains(each.Id()); });
  return cases;
}

TEST_P(Profile, HoldsAndIsJudgedAgainToTheSameVerdicts) {
  const auto& [trainer, profile] = GetParam();
  const auto folder = OutputFolder(trainer + "_" + profile);
  std::vector<std::string> arguments{"conform", "--trainer", trainer, "--out", folder};
  const std::vector<ListedCase> all = CasesOf(profile), within = WithinRanks(all, MostRanks(trainer));
  if (within.empty()) GTEST_SKIP() << "every case needs more than " << MostRanks(trainer) << " ranks";
  const std::vector<std::string> asked =
      within.size() == all.size() ? std::vector<std::string>{"--profile", profile} : CaseArguments(within);
  arguments.insert(arguments.end(), asked.begin(), asked.end());
  const Outcome outcome = RunProgram("lockstep", arguments);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  const protocol::Record record = ReadRecord(folder);
  EXPECT_TRUE(record.complete);
  EXPECT_EQ(record.cases.size(), within.size());
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
