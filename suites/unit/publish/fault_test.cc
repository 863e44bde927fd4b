// A record of a run with a fault switched on: each way out names it, and none takes it for a trainer's result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/publish/publish.h"
#include "suites/unit/publish/sample.h"

namespace lockstep::publish {
namespace {

using protocol::FaultOutcome;
using testing::HasSubstr;
using testing::Not;

protocol::Record WithFault(FaultOutcome outcome) {
  protocol::Record record = PassingRecord();
  record.fault = protocol::FaultResult{};
  record.fault->fault.name = "dp.twice";
  record.fault->fault.kind = "data";
  record.fault->fault.mechanism = "Gradients are doubled.";
  record.fault->outcome = outcome;
  record.fault->words = "what was found";
  record.exit_code = outcome == FaultOutcome::kCaught ? 1 : 3;
  record.verdict = VerdictLine(record);
  return record;
}

TEST(RecordOfAFault, NamesItInEveryWayOut) {
  const protocol::Record record = WithFault(FaultOutcome::kMissed);
  for (const std::string& text : {Table(record, false), SummaryText(record), JUnitText(record)}) {
    EXPECT_THAT(text, HasSubstr("FAULT NOT CAUGHT: dp.twice, what was found"));
    EXPECT_THAT(text, Not(HasSubstr("PASS: ")));
  }
  EXPECT_THAT(Table(record, false), HasSubstr("switched on: fault dp.twice (data): Gradients are doubled."));
  EXPECT_THAT(SummaryText(record), HasSubstr("Gradients are doubled."));
  EXPECT_THAT(MetricsText(record), HasSubstr("fault=\"dp.twice\""));
  EXPECT_THAT(MetricsText(record), Not(HasSubstr("lockstep_suite_last_success_timestamp_seconds{")));
}

TEST(RecordOfAFault, IsATestOfItsOwnInJUnit) {
  EXPECT_THAT(JUnitText(WithFault(FaultOutcome::kMissed)), HasSubstr("<failure type=\"missed\""));
  EXPECT_THAT(JUnitText(WithFault(FaultOutcome::kCaughtOtherwise)), HasSubstr("<failure type=\"caught_otherwise\""));
  const std::string caught = JUnitText(WithFault(FaultOutcome::kCaught));
  EXPECT_THAT(caught, HasSubstr("classname=\"lockstep.fault\" name=\"dp.twice\" time=\"0.000\"/>"));
  EXPECT_THAT(caught, Not(HasSubstr("<failure")));
}

TEST(RecordOfAFault, SurvivesJson) {
  const auto json = protocol::RecordToJson(WithFault(FaultOutcome::kCaughtElsewhere));
  const protocol::Record read = protocol::RecordFromJson(json, "record.json");
  ASSERT_TRUE(read.fault);
  EXPECT_EQ(read.fault->fault.name, "dp.twice");
  EXPECT_EQ(read.fault->outcome, FaultOutcome::kCaughtElsewhere);
  EXPECT_EQ(read.fault->words, "what was found");
}

}  // namespace
}  // namespace lockstep::publish
