// Case files and profiles: what is read, and everything that is refused with the place and the nearest right word.
#include "harness/conform/case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/conform/runs.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::conform {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kCase = R"(id = "dp.test"
claim = "A claim."
plans = ["dp=2", "dp=2,micro_batches=2"]
checks = ["effective_plan", "noise_ratio"]
[model]
kind = "mlp"
sizes = [4, 6, 2]
[training]
global_batch = 4
steps = 3
)";

class CaseFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "case-test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    suites_ = pattern;
    std::filesystem::create_directories(suites_ / "conformance" / "cases");
    std::filesystem::create_directories(suites_ / "conformance" / "profiles");
  }
  void TearDown() override { std::filesystem::remove_all(suites_); }

  std::filesystem::path Write(const std::string& kind, const std::string& name, const std::string& text) {
    const auto file = suites_ / "conformance" / kind / name;
    std::ofstream(file) << text;
    return file;
  }

  std::string Refusal(const std::string& from, const std::string& to) {
    std::string text = kCase;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    try {
      ReadCaseFile(Write("cases", "dp.test.toml", text));
    } catch (const protocol::BadInput& error) {
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path suites_;
};

TEST_F(CaseFile, BringsOneCaseForEachPlan) {
  const std::vector<Case> cases = ReadCaseFile(Write("cases", "dp.test.toml", kCase));
  ASSERT_EQ(cases.size(), 2u);
  EXPECT_EQ(cases[0].id, "dp.test/dp=2");
  EXPECT_EQ(cases[1].id, "dp.test/dp=2,micro_batches=2");
  EXPECT_EQ(cases[1].plan.micro_batches, 2);
  EXPECT_EQ(cases[0].claim, "A claim.");
}

TEST_F(CaseFile, IsRefusedWithTheNearestRightWord) {
  EXPECT_THAT(Refusal("claim =", "clam ="), HasSubstr("claim"));
  EXPECT_THAT(Refusal("[training]", "[trainin]"), HasSubstr("training"));
  EXPECT_THAT(Refusal("noise_ratio", "noise_ration"), HasSubstr("did you mean 'noise_ratio'"));
  EXPECT_THAT(Refusal("dp=2\"", "dpp=2\""), HasSubstr("dp"));
  EXPECT_THAT(Refusal("micro_batches=2", "schedule=gpip"), HasSubstr("did you mean 'gpipe'"));
}

TEST_F(CaseFile, IsRefusedWhenItClaimsNothing) {
  EXPECT_THAT(Refusal(R"(checks = ["effective_plan", "noise_ratio"])", "checks = []"), HasSubstr("at least one check"));
  EXPECT_THAT(Refusal(R"(plans = ["dp=2", "dp=2,micro_batches=2"])", "plans = []"), HasSubstr("at least one plan"));
  EXPECT_THAT(Refusal("dp=2,micro_batches=2", "dp=2"), HasSubstr("stands twice"));
}

TEST_F(CaseFile, IsRefusedWhenAPlanDoesNotFitTheWorkload) {
  EXPECT_THAT(Refusal("dp=2,micro_batches=2", "dp=8"), AllOf(HasSubstr("dp.test.toml"), HasSubstr("dp=8")));
}

TEST_F(CaseFile, IsRefusedUnderAnotherName) {
  EXPECT_THAT(Refusal("id = \"dp.test\"", "id = \"dp.tests\""), HasSubstr("expected the file's name"));
}

TEST_F(CaseFile, IsRefusedWhenResumeAndChecksDisagree) {
  EXPECT_THAT(Refusal("noise_ratio", "checkpoint_round_trip"), HasSubstr("resume: is missing"));
  EXPECT_THAT(Refusal("steps = 3\n", "steps = 3\n[resume]\nsave_after = 2\nplan = \"dp=2\"\n"),
              HasSubstr("no check looks at a resumed run"));
}

TEST_F(CaseFile, IsRefusedWhenItSavesAfterTheLastStep) {
  std::string text = kCase;
  text.replace(text.find("noise_ratio"), 11, "checkpoint_round_trip");
  const auto with = [&](const std::string& step) {
    return Write("cases", "dp.test.toml", text + "[resume]\nsave_after = " + step + "\nplan = \"dp=4\"\n");
  };
  EXPECT_EQ(ReadCaseFile(with("2")).at(0).resume->plan.data, 4);
  EXPECT_THROW(ReadCaseFile(with("3")), protocol::BadInput);
}

TEST_F(CaseFile, MakesItsDelaysInTheCandidateAlone) {
  const std::string delay = "steps = 3\n[[delays]]\nrank = 1\noperation = \"B\"\nseconds = 0.2\nstep = 2\n";
  std::string text = kCase;
  text.replace(text.find("steps = 3\n"), 10, delay);
  const Case value = ReadCaseFile(Write("cases", "dp.test.toml", text)).at(1);
  const std::vector<protocol::Delay> expected{{.rank = 1, .operation = "B", .seconds = 0.2, .step = 2}};
  EXPECT_EQ(value.delays, expected);
  EXPECT_EQ(CaseFromJson(CaseToJson(value), "test").delays, expected);
  for (const conform::Run& run : RunsOf(value))
    EXPECT_EQ(run.request.delays.empty(), run.name != "candidate") << run.name;
}

TEST_F(CaseFile, IsRefusedWhenADelayNeverComes) {
  const auto refusal = [&](const std::string& operation, const std::string& step) {
    return Refusal("steps = 3\n", "steps = 3\n[[delays]]\nrank = 1\noperation = \"" + operation +
                                      "\"\nseconds = 0.2\nstep = " + step + "\n");
  };
  EXPECT_THAT(refusal("B", "4"), HasSubstr("delays: one is of step 4; expected a step up to 3"));
  EXPECT_THAT(refusal("W", "2"), HasSubstr("delays: one never comes: W of rank 1"));
  EXPECT_THAT(refusal("send", "2"), HasSubstr("delays: one never comes: send of rank 1"));
  EXPECT_THAT(refusal("sned", "2"), HasSubstr("(nearest: \"send\")"));
}

TEST_F(CaseFile, SurvivesJson) {
  const Case before = ReadCaseFile(Write("cases", "dp.test.toml", kCase)).at(1);
  const Case after = CaseFromJson(CaseToJson(before), "test");
  EXPECT_EQ(after.id, before.id);
  EXPECT_EQ(after.workload, before.workload);
  EXPECT_EQ(after.plan, before.plan);
  EXPECT_EQ(after.checks, before.checks);
}

TEST_F(CaseFile, IsFoundByItsIdItsFileOrItsBeginning) {
  const std::vector<Case> cases = ReadCaseFile(Write("cases", "dp.test.toml", kCase));
  EXPECT_EQ(MatchCases(cases, "dp.test").size(), 2u);
  EXPECT_EQ(MatchCases(cases, "dp.test/dp=2").size(), 1u);
  EXPECT_EQ(MatchCases(cases, "dp.*").size(), 2u);
  EXPECT_TRUE(MatchCases(cases, "tp.*").empty());
  try {
    MatchCases(cases, "dp.tset");
    FAIL() << "accepted";
  } catch (const protocol::BadInput& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'dp.test'"));
  }
}

TEST_F(CaseFile, ThatAProfileNamesMustExist) {
  Write("cases", "dp.test.toml", kCase);
  const auto read = [&](const std::string& cases) {
    return ReadProfile(
        Write("profiles", "p.toml", "name = \"p\"\nversion = 1\nsummary = \"s\"\ncases = " + cases + "\n"));
  };
  EXPECT_EQ(CasesOf(read("[\"dp.test\"]"), suites_).size(), 2u);
  EXPECT_THROW(CasesOf(read("[\"dp.tests\"]"), suites_), protocol::BadInput);
  EXPECT_THROW(read("[]"), protocol::BadInput);
  EXPECT_THROW(read("[\"dp.test\", \"dp.test\"]"), protocol::BadInput);
}

}  // namespace
}  // namespace lockstep::conform
