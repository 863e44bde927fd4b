#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "harness/publish/publish.h"
#include "harness/publish/text.h"
#include "suites/unit/publish/sample.h"

namespace lockstep::publish {
namespace {

using protocol::CheckResult;
using protocol::Record;
using protocol::Status;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

TEST(Table, KeepsWithinItsWidthAndSteersNoTerminal) {
  for (const Record& record : {SampleRecord(), PassingRecord()}) {
    for (const std::string& line : Lines(Table(record, false))) {
      EXPECT_LE(Columns(line), static_cast<std::size_t>(kTableWidth)) << line;
      EXPECT_EQ(line, Printable(line));
    }
  }
}

TEST(Table, ShowsEachCaseWithItsMeasuredValueOfItsBound) {
  const std::string table = Table(PassingRecord(), false);
  EXPECT_THAT(table, HasSubstr("core: 2 of 2 hold"));
  EXPECT_THAT(table, ContainsRegex("dp.even +dp=2 +T +0.93 of 3.00 .noise_ratio. +pass"));
  EXPECT_THAT(table, ContainsRegex("\n   +dp=4 +T +1.93 of 3.00 .noise_ratio. +pass"));  // the case's name stands once
  EXPECT_THAT(table, ContainsRegex("pp.1f1b +pp=2 +B0 +0 of 12,345 differ .replicas_bitwise. +pass"));
}

TEST(Table, ShowsEveryClassThatACaseHoldsBesideTheDecidingOne) {
  Record record = PassingRecord();
  CheckResult bitwise;
  bitwise.check = "bitwise_construction";
  bitwise.equality_class = "B1";
  record.cases[0].checks.push_back(bitwise);
  EXPECT_THAT(Table(record, false), ContainsRegex("dp.even +dp=2 +B1.T +0.93 of 3.00 .noise_ratio. +pass"));
  EXPECT_THAT(SummaryText(record), HasSubstr("B1+T"));
  record.cases[0].status = Status::kFail;
  EXPECT_THAT(Table(record, false), ContainsRegex("dp.even +dp=2 +T "));  // what a broken case holds is not told
}

TEST(Table, CutsNoPlan) {
  Record record = PassingRecord();
  record.cases[0].plan = "pp=2,chunks=2,micro_batches=4,schedule=interleaved_1f1b,partition=1+2+1+2";
  record.cases[0].id = "pp.a_case_with_a_long_name_of_its_own/" + record.cases[0].plan;
  const std::string table = Table(record, false);
  EXPECT_THAT(table, HasSubstr("schedule=interleaved_1f1b,"));
  EXPECT_THAT(table, HasSubstr("partition=1+2+1+2"));
  for (const std::string& line : Lines(table)) EXPECT_LE(Columns(line), static_cast<std::size_t>(kTableWidth)) << line;
}

TEST(Table, TellsOfEachFailureWhereItBeganAndWhy) {
  const std::string table = Table(SampleRecord(), false);
  EXPECT_THAT(table, HasSubstr("fail  dp.uneven_tokens/dp=2\n"));
  EXPECT_THAT(table, HasSubstr("claim: The loss is the mean over all valid tokens"));
  EXPECT_THAT(table, HasSubstr("noise_ratio (T): 4,812 of 3.00, 12,345 compared"));
  EXPECT_THAT(table,
              HasSubstr("first divergence: step 1, reduction, tensor h.0.attn.qkv.weight, rank 1, micro-batch 2"));
  EXPECT_THAT(table, HasSubstr("alpha 2 (scale), rho 3.1e-07 (direction)"));
  EXPECT_THAT(table, HasSubstr("gradients x 2.000 = data-parallel degree: summed, not averaged"));
  EXPECT_THAT(table, Not(HasSubstr("diagnosis: gradients x 2")));  // the reason says it
  EXPECT_THAT(table, Not(HasSubstr("rank 0 (pid 4242)")));         // ended well
  EXPECT_THAT(table, HasSubstr("also reported_norm (exact): 2.00e-03 of 1.00e-06"));
  EXPECT_THAT(table, HasSubstr("rank 1 (pid 4711): killed by signal 9; last seen: after step 2"));
  EXPECT_THAT(table, HasSubstr("| \\x1b[31mred"));
  EXPECT_THAT(table, HasSubstr("error  pp.crash/pp=2,micro_batches=4"));
  EXPECT_THAT(table, HasSubstr("timeout  pp.hang/pp=4"));
}

TEST(Table, CountsWhatWasNotRunInTheOpen) {
  const std::string table = Table(SampleRecord(), false);
  EXPECT_THAT(table, HasSubstr("1 x unsupported: tensor parallel degree 2 (at most 1)"));
  EXPECT_THAT(table, HasSubstr("1 x waived: DDP averages over ranks"));
  EXPECT_THAT(table, HasSubstr("1 x skip: not selected"));
}

TEST(Table, EndsWithFiguresAndOneLineOfVerdict) {
  const Record record = PassingRecord();
  const std::vector<std::string> lines = Lines(Table(record, false));
  EXPECT_EQ(lines.back(), record.verdict);
  EXPECT_EQ(record.verdict, "PASS: 4 of 4 cases hold; largest R 1.93 of 3.00 (margin 1.55)");
  const std::string table = Table(record, false);
  EXPECT_THAT(table, ContainsRegex(" 0 +80.0 kB +25.0% of 16.00 s +activations 70.0 kB, parameters 9.2 kB"));
  EXPECT_THAT(table, HasSubstr("1,208 tokens in 12 steps by the ledger; most 404 tokens/s in dp.even/dp=2"));
}

TEST(Table, GivesNoFiguresOfCasesThatDoNotHold) {
  Record record = PassingRecord();
  for (protocol::CaseResult& result : record.cases) result.status = Status::kFail;
  EXPECT_THAT(Table(record, false), Not(HasSubstr("tokens/s")));
}

TEST(Table, ColoursOnlyWhenAsked) {
  EXPECT_THAT(Table(SampleRecord(), false), Not(HasSubstr("\x1b")));
  EXPECT_THAT(Table(SampleRecord(), true), HasSubstr("\x1b[1;31mfail\x1b[0m"));
}

TEST(MeasuredOfBound, SaysNothingComparedAndNaN) {
  CheckResult check;
  EXPECT_EQ(MeasuredOfBound(check), "nothing compared");
  check.compared = 5;
  check.measured = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(MeasuredOfBound(check), "NaN of 0");
  check.measured = 3;
  EXPECT_EQ(MeasuredOfBound(check), "3 of 5 differ");
}

TEST(VerdictLine, NeverPassesWhatDidNotRun) {
  Record record;
  record.complete = true;
  EXPECT_EQ(VerdictLine(record), "FAIL: no case was run");
  record = PassingRecord();
  for (protocol::CaseResult& result : record.cases) result.status = Status::kUnsupported;
  EXPECT_EQ(VerdictLine(record), "FAIL: none of 4 cases holds, 4 unsupported");
  record.cases[0].status = Status::kWaived;
  EXPECT_EQ(VerdictLine(record), "FAIL: none of 4 cases holds, 3 unsupported, 1 waived");
  record.cases[1].status = Status::kPass;
  EXPECT_THAT(VerdictLine(record), testing::StartsWith("PASS: 1 of 4 cases hold, 2 unsupported, 1 waived"));
  record = PassingRecord();
  record.complete = false;
  EXPECT_THAT(VerdictLine(record), testing::StartsWith("INCOMPLETE: 4 of 4 cases hold; cut short"));
  EXPECT_THAT(VerdictLine(SampleRecord()),
              HasSubstr("FAIL: 5 of 15 cases do not hold (2 fail, 1 error, 1 timeout, 1 xpass), 2 unsupported"));
}

TEST(TrainText, SaysThatItsFiguresHaveNoVerdict) {
  EXPECT_THAT(TrainText(SampleTrain(), false), HasSubstr("\nnot judged: "));
}

TEST(TrainText, ShowsMemoryIdleTimeThroughputAndLoss) {
  const std::string text = TrainText(SampleTrain(), false);
  EXPECT_THAT(text, ContainsRegex(" 1 +80.0 kB +20.0% of 1.25 s +activations 70.0 kB, parameters 9.2 kB"));
  EXPECT_THAT(text, HasSubstr("406 tokens by the ledger, 325 tokens/s; median step 0.25 s"));
  EXPECT_THAT(text, HasSubstr("loss 5.5 -> 4.25 at step 4"));
}

}  // namespace
}  // namespace lockstep::publish
