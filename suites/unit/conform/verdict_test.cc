// From checks to the verdict of a case and of a record; runs that cases share; what is kept for judging again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/conform/conform.h"
#include "harness/conform/judge.h"
#include "harness/conform/output_folder.h"
#include "harness/conform/runs.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::conform {
namespace {

using protocol::CaseResult;
using protocol::CheckResult;
using protocol::Status;

CheckResult Passed(const std::string& name, double margin) {
  CheckResult check;
  check.check = name;
  check.margin = margin;
  check.compared = 1;
  return check;
}

CheckResult Failed(const std::string& name, std::int64_t step, const std::string& phase,
                   const std::string& diagnosis = "") {
  CheckResult check;
  check.check = name;
  check.status = Status::kFail;
  check.first_divergence = protocol::Divergence{step, phase, "", -1, -1};
  check.diagnosis = diagnosis;
  return check;
}

TEST(DecidingCheck, IsTheEarliestDivergenceInTheOrderOfAStep) {
  EXPECT_EQ(DecidingCheck({Failed("a", 2, "forward"), Failed("b", 1, "optimizer"), Failed("c", 1, "backward")}), 2);
  EXPECT_EQ(DecidingCheck({Passed("a", 1.1), Failed("b", 3, "clip")}), 1);
  EXPECT_EQ(DecidingCheck({Failed("a", 1, "ledger"), Failed("b", 0, "plan")}), 1);
  EXPECT_EQ(DecidingCheck({Failed("a", 1, "ledger"), Failed("b", 1, "ledger")}), 0);
}

TEST(DecidingCheck, IsThatOfTheMostTellingClassWhereAllHold) {
  CheckResult exact = Passed("learning_rate", 1.1), ratio = Passed("noise_ratio", 3);
  exact.equality_class = "exact";
  ratio.equality_class = "T";
  EXPECT_EQ(DecidingCheck({exact, ratio}), 1);
}

TEST(DecidingCheck, IsTheSmallestMarginWhereAllHold) {
  EXPECT_EQ(DecidingCheck({Passed("a", 0), Passed("b", 3), Passed("c", 1.5)}), 2);
  EXPECT_EQ(DecidingCheck({Passed("a", 0), Passed("b", 0)}), 0);
  EXPECT_EQ(DecidingCheck({}), -1);
}

CaseResult FailedCase() {
  CaseResult result;
  result.id = "dp.uneven/dp=2";
  result.status = Status::kFail;
  result.checks = {Passed("ledger", 0), Failed("noise_ratio", 1, "backward", "a mean of means: x 1.2")};
  return result;
}

TEST(Waiver, CoversAFailureWithItsCause) {
  CaseResult result = FailedCase();
  ApplyWaivers({{"dp.uneven*", "noise_ratio", "mean of means", "known"}}, &result);
  EXPECT_EQ(result.status, Status::kWaived);
  EXPECT_EQ(result.checks[1].status, Status::kWaived);
  EXPECT_THAT(result.reason, ::testing::StartsWith("known ("));  // that it is waived, whoever prints it says
}

TEST(Waiver, DoesNotCoverAnotherCaseCheckOrCause) {
  for (const protocol::Waiver& waiver :
       std::vector<protocol::Waiver>{{"dp.uneven", "noise_ratio", "mean of means", "r"},  // neither whole id nor prefix
                                     {"dp.uneven*", "ledger", "mean of means", "r"},
                                     {"dp.uneven*", "", "summed, not averaged", "r"},
                                     {"dp.uneven*", "", "an", "no word of it: inside 'mean' and 'means'"},
                                     {"*", "", "", "whatever it is"},
                                     {"*", "", " ", "whatever it is"}}) {
    CaseResult result = FailedCase();
    ApplyWaivers({waiver}, &result);
    EXPECT_EQ(result.status, Status::kFail) << waiver.case_id;
  }
}

TEST(Waiver, DoesNotCoverASecondFailureBesideIt) {
  CaseResult result = FailedCase();
  result.checks.push_back(Failed("replicas", 1, "reduction", "rank 1 differs"));
  ApplyWaivers({{"dp.uneven*", "noise_ratio", "mean of means", "known"}}, &result);
  EXPECT_EQ(result.status, Status::kFail);
}

protocol::Record RecordOf(const std::vector<Status>& statuses) {
  protocol::Record record;
  for (const Status status : statuses) record.cases.emplace_back().status = status;
  return record;
}

TEST(ExitCode, IsThatOfTheWorstCase) {
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kPass, Status::kWaived, Status::kUnsupported}), 0), 0);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kPass, Status::kTimeout}), 0), 124);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kTimeout, Status::kError}), 0), 4);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kTimeout, Status::kError, Status::kFail}), 0), 1);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kPass}), 2), 130);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kPass}), 15), 143);
}

// What is waived did not hold; it counts as held beside what did.
TEST(ExitCode, OfNothingThatHeldIsFive) {
  EXPECT_EQ(ExitCodeOf(RecordOf({}), 0), 5);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kWaived}), 0), 5);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kWaived, Status::kUnsupported, Status::kSkip}), 0), 5);
  EXPECT_EQ(ExitCodeOf(RecordOf({Status::kUnsupported, Status::kSkip}), 0), 5);
}

Case SmallCase(const std::string& plan, const std::vector<std::string>& checks,
               const std::optional<Resume>& resume = {}) {
  protocol::Workload workload;
  workload.model.sizes = {4, 6, 2};
  workload.global_batch = 4;
  workload.steps = 3;
  return MakeCase("dp.test", "claim", workload, plan, checks, resume, "test");
}

std::vector<std::string> Names(const std::vector<conform::Run>& runs) {
  std::vector<std::string> names;
  for (const conform::Run& run : runs) names.push_back(run.name);
  return names;
}

TEST(Runs, AreThoseThatTheChecksNeed) {
  EXPECT_EQ(Names(RunsOf(SmallCase("dp=2", {"effective_plan"}))), std::vector<std::string>{"candidate"});
  EXPECT_THAT(Names(RunsOf(SmallCase("dp=2", {"noise_ratio", "rerun"}))),
              ::testing::ElementsAre("candidate", "single", "rerun"));
}

TEST(Runs, ShareASingleRunBetweenPlansWithTheSameMicroBatches) {
  const auto single = [](const std::string& plan) { return RunsOf(SmallCase(plan, {"noise_ratio"})).at(1).folder; };
  EXPECT_EQ(single("dp=2"), single("dp=4"));
  EXPECT_NE(single("dp=2"), single("dp=2,micro_batches=2"));
}

TEST(Runs, KeepTheFaultAwayFromTheSingleRun) {
  for (const conform::Run& run : RunsOf(SmallCase("dp=2", {"noise_ratio", "rerun"}))) {
    EXPECT_EQ(run.takes_fault, run.name != "single");
  }
}

TEST(Runs, ResumeFromTheCandidatesCheckpointAfterIt) {
  Resume resume;
  resume.save_after = 2;
  resume.plan = protocol::ParsePlan("dp=4");
  const std::vector<conform::Run> runs = RunsOf(SmallCase("dp=2", {"checkpoint_round_trip"}, resume));
  EXPECT_EQ(runs[0].request.checkpoint.save_after, 2);
  bool resumed = false;
  for (const conform::Run& run : runs) {
    if (!run.name.starts_with("resumed")) continue;
    resumed = true;
    EXPECT_EQ(run.wave, 1);
    EXPECT_EQ(run.request.checkpoint.resume_step, 2);
    EXPECT_EQ((run.folder / run.request.checkpoint.resume_from).lexically_normal(),
              runs[0].folder / runs[0].request.checkpoint.save_to);
  }
  EXPECT_TRUE(resumed);
}

class OutputFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "conform-test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

Session SmallSession() {
  Session session;
  session.run_id = "id";
  session.trainer = "fake";
  session.capabilities = nlohmann::json::object();
  session.machine = {{"host", "elsewhere"}, {"cpu", {{"model", "another"}, {"cores", 96}}}};
  session.environment = {{"OMP_NUM_THREADS", "48"}};
  session.waivers = {{"a*", "b", "c", "d"}};
  SessionCase value{SmallCase("dp=2", {"effective_plan"}), "", {}};
  launch::RunEnd end;
  end.kind = launch::EndKind::kTimeout;
  end.reason = "rank 1 is stopped";
  protocol::RankResult rank;
  rank.rank = 1;
  rank.signal = 9;
  end.ranks = {rank};
  value.runs.push_back({"candidate", "runs/dp.test/dp=2/candidate", end});
  session.cases.push_back(value);
  return session;
}

TEST_F(OutputFolder, KeepsASession) {
  WriteSession(folder_, SmallSession());
  const Session read = ReadSession(folder_);
  ASSERT_EQ(read.cases.size(), 1u);
  const launch::RunEnd& end = read.cases[0].runs.at(0).end.value();
  EXPECT_EQ(end.kind, launch::EndKind::kTimeout);
  EXPECT_EQ(end.reason, "rank 1 is stopped");
  EXPECT_EQ(end.ranks.at(0).signal, 9);
  EXPECT_FALSE(end.ranks.at(0).exit.has_value());
  EXPECT_EQ(read.waivers.at(0).cause, "c");
}

TEST_F(OutputFolder, IsJudgedWithTheMachineAndTheEnvironmentThatItsRunsHad) {
  WriteSession(folder_, SmallSession());
  const protocol::Record record = JudgeSession(ReadSession(folder_), folder_, {});
  EXPECT_EQ(record.system.at("host"), "elsewhere");
  EXPECT_EQ(record.system.at("cpu").at("cores"), 96);
  EXPECT_EQ(record.environment, (nlohmann::json{{"OMP_NUM_THREADS", "48"}}));
}

TEST_F(OutputFolder, KeepsTheFaultThatWasSwitchedOn) {
  Session session = SmallSession();
  session.fault = protocol::Fault{.name = "dp.twice",
                                  .kind = "data",
                                  .mechanism = "m",
                                  .source = "",
                                  .workload_case = session.cases[0].spec.id,
                                  .check = "replicas",
                                  .phase = "clip",
                                  .tensor = "",
                                  .diagnosis = "words"};
  WriteSession(folder_, session);
  const protocol::Record record = JudgeSession(ReadSession(folder_), folder_, {});
  ASSERT_TRUE(record.fault);
  EXPECT_EQ(record.fault->fault.name, "dp.twice");
  EXPECT_EQ(record.fault->fault.diagnosis, "words");
  EXPECT_EQ(record.fault->outcome, protocol::FaultOutcome::kNotJudged);  // its only run timed out
}

TEST_F(OutputFolder, RefusesASessionWithAWaiverThatCoversEverything) {
  Session session = SmallSession();
  session.waivers = {{"*", "", "", "whatever it is"}};
  WriteSession(folder_, session);
  EXPECT_THROW(ReadSession(folder_), protocol::BadInput);
}

TEST_F(OutputFolder, RefusesASessionWhoseEvidenceLiesOutside) {
  Session session = SmallSession();
  session.cases[0].runs[0].folder = "runs/../../elsewhere";
  WriteSession(folder_, session);
  EXPECT_THROW(ReadSession(folder_), protocol::BadInput);
}

TEST_F(OutputFolder, IsNotClearedWhenItHoldsOtherThings) {
  const FolderUse use{"lockstep test", "mark.json", "run_id", {"runs", "mark.json"}};
  std::ofstream(folder_ / "thesis.txt") << "x";
  EXPECT_THROW(PrepareFolder(folder_, use), protocol::BadInput);
  for (const char* foreign : {"{}", "[1]", "not JSON"}) {
    std::ofstream(folder_ / "mark.json") << foreign;
    EXPECT_THROW(PrepareFolder(folder_, use), protocol::BadInput) << foreign;
  }
  std::ofstream(folder_ / "mark.json") << R"({"run_id": "1"})";
  std::filesystem::create_directories(folder_ / "runs" / "old");
  PrepareFolder(folder_, use);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "thesis.txt"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "mark.json"));
}

TEST_F(OutputFolder, JudgesATimeoutAndABrokenRunForWhatTheyAre) {
  Session session = SmallSession();
  Judged judged = JudgeCase(session.cases[0], session, folder_, folder_ / "cache");
  EXPECT_EQ(judged.result.status, Status::kTimeout);
  EXPECT_EQ(judged.result.reason, "rank 1 is stopped");
  session.cases[0].runs[0].end->kind = launch::EndKind::kError;
  EXPECT_EQ(JudgeCase(session.cases[0], session, folder_, folder_ / "cache").result.status, Status::kError);
  session.cases[0].runs[0].end.reset();
  EXPECT_EQ(JudgeCase(session.cases[0], session, folder_, folder_ / "cache").result.status, Status::kSkip);
}

TEST_F(OutputFolder, JudgesMissingEvidenceOfARunThatSaysItIsDoneAsAFailure) {
  Session session = SmallSession();
  session.cases[0].runs[0].end->kind = launch::EndKind::kDone;
  const Judged judged = JudgeCase(session.cases[0], session, folder_, folder_ / "cache");
  EXPECT_EQ(judged.result.status, Status::kFail);
  EXPECT_THAT(judged.result.reason, ::testing::HasSubstr("bad evidence"));
}

}  // namespace
}  // namespace lockstep::conform
