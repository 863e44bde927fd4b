// A fault that was switched on: caught for the reason that it declares, for another, or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/conform/conform.h"
#include "harness/conform/fault.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"

namespace lockstep::conform {
namespace {

using protocol::CaseResult;
using protocol::CheckResult;
using protocol::Fault;
using protocol::FaultOutcome;
using protocol::Status;
using ::testing::HasSubstr;

Fault Declared() {
  Fault fault;
  fault.name = "dp.twice";
  fault.workload_case = "dp.even/dp=2";
  fault.check = "noise_ratio";
  fault.step = 1;
  fault.phase = "reduction";
  fault.tensor = "w";
  fault.diagnosis = "summed, not averaged";
  return fault;
}

CaseResult CaseWith(Status status, const std::string& id = "dp.even/dp=2") {
  CaseResult result;
  result.id = id;
  result.status = status;
  result.reason = "as the reason says";
  CheckResult check;
  check.check = "noise_ratio";
  check.status = status;
  check.first_divergence = protocol::Divergence{1, "reduction", "w", -1, -1};
  check.diagnosis = "gradients x 2: summed, not averaged";
  result.checks = {check};
  result.deciding_check = 0;
  return result;
}

FaultOutcome OutcomeOf(const CaseResult& result) { return JudgeFault(Declared(), {result}).outcome; }

TEST(FaultVerdict, IsCaughtByWhatItDeclares) {
  EXPECT_EQ(OutcomeOf(CaseWith(Status::kFail)), FaultOutcome::kCaught);
  EXPECT_EQ(OutcomeOf(CaseWith(Status::kWaived)), FaultOutcome::kCaught);  // a waiver excuses a trainer, not a fault
}

TEST(FaultVerdict, SaysWhatFoundItWhereThatIsNotAsDeclared) {
  const auto changed = [](auto change) {
    CaseResult result = CaseWith(Status::kFail);
    change(result.checks[0]);
    return JudgeFault(Declared(), {result});
  };
  for (const auto& result : {changed([](CheckResult& check) { check.check = "replicas"; }),
                             changed([](CheckResult& check) { check.first_divergence->step = 2; }),
                             changed([](CheckResult& check) { check.first_divergence->phase = "backward"; }),
                             changed([](CheckResult& check) { check.first_divergence->tensor = "b"; }),
                             changed([](CheckResult& check) { check.first_divergence.reset(); }),
                             changed([](CheckResult& check) { check.diagnosis = "no known cause"; })}) {
    EXPECT_EQ(result.outcome, FaultOutcome::kCaughtOtherwise) << result.words;
    EXPECT_THAT(result.words, HasSubstr("declared: noise_ratio, step 1, reduction, w, \"summed, not averaged\""));
  }
  CaseResult unread = CaseWith(Status::kFail);
  unread.checks.clear();
  unread.deciding_check = -1;
  unread.reason = "bad evidence";
  EXPECT_THAT(JudgeFault(Declared(), {unread}).words, HasSubstr("bad evidence"));
}

TEST(FaultVerdict, IsMissedWhereItsCaseHolds) {
  const auto other = CaseWith(Status::kFail, "tp.even/tp=2");
  EXPECT_EQ(JudgeFault(Declared(), {other, CaseWith(Status::kPass)}).outcome, FaultOutcome::kMissed);
  EXPECT_EQ(JudgeFault(Declared(), {CaseWith(Status::kPass, "tp.even/tp=2")}).outcome, FaultOutcome::kMissed);
}

TEST(FaultVerdict, IsNoneWhereItsCaseCameToNoEnd) {
  for (const Status status : {Status::kError, Status::kTimeout, Status::kSkip, Status::kUnsupported}) {
    EXPECT_EQ(OutcomeOf(CaseWith(status)), FaultOutcome::kNotJudged);
  }
}

TEST(FaultVerdict, OfAnotherCaseIsToldAsThat) {
  const auto result = JudgeFault(Declared(), {CaseWith(Status::kFail, "tp.even/tp=2")});
  EXPECT_EQ(result.outcome, FaultOutcome::kCaughtElsewhere);
  EXPECT_THAT(result.words, HasSubstr("dp.even/dp=2 was not run"));
}

TEST(FaultVerdict, OfTheWatcherIsByTheWordsForTheStandstill) {
  Fault fault = Declared();
  fault.found_by = "watcher";
  fault.check = "";
  fault.diagnosis = "link crossed";
  CaseResult result = CaseWith(Status::kTimeout);
  EXPECT_EQ(JudgeFault(fault, {result}).outcome, FaultOutcome::kNotJudged);
  result.stuck.emplace_back().words = "rank 1 waits: link crossed: expected from rank 0";
  EXPECT_EQ(JudgeFault(fault, {result}).outcome, FaultOutcome::kCaught);
  result.stuck[0].words = "rank 1 waits: link missing";
  EXPECT_EQ(JudgeFault(fault, {result}).outcome, FaultOutcome::kCaughtOtherwise);
  EXPECT_EQ(JudgeFault(fault, {CaseWith(Status::kPass)}).outcome, FaultOutcome::kMissed);
}

TEST(FaultVerdict, OfTheWatcherNeedsWordsToBeHeldTo) {
  Fault fault = Declared();
  fault.found_by = "watcher";
  const nlohmann::json declared = protocol::FaultToJson(fault);
  EXPECT_EQ(protocol::FaultFromFields(protocol::Fields(declared, "faults")).diagnosis, fault.diagnosis);
  nlohmann::json wordless = declared;
  wordless["diagnosis"] = "";
  EXPECT_THROW(protocol::FaultFromFields(protocol::Fields(wordless, "faults")), protocol::BadInput);
}

TEST(FaultVerdict, IsOneOnlyWhereTheFaultWasCaughtAndNeverZero) {
  const auto code = [](const CaseResult& result) {
    protocol::Record record;
    record.cases = {result, CaseWith(Status::kPass, "tp.even/tp=2")};
    record.fault = JudgeFault(Declared(), record.cases);
    return ExitCodeOf(record, 0);
  };
  EXPECT_EQ(code(CaseWith(Status::kFail)), 1);
  EXPECT_EQ(code(CaseWith(Status::kPass)), 3);
  EXPECT_EQ(code(CaseWith(Status::kError)), 4);
  EXPECT_EQ(code(CaseWith(Status::kTimeout)), 124);
  EXPECT_EQ(code(CaseWith(Status::kUnsupported)), 3);
  CaseResult otherwise = CaseWith(Status::kFail);
  otherwise.checks[0].check = "replicas";
  EXPECT_EQ(code(otherwise), 3);
}

}  // namespace
}  // namespace lockstep::conform
