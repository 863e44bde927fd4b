#include "harness/protocol/record.h"

#include <cmath>

#include "suites/unit/protocol/support.h"

namespace lockstep::protocol {
namespace {

using ::testing::HasSubstr;

Record SmallRecord() {
  CheckResult check;
  check.check = "noise_ratio";
  check.equality_class = "T";
  check.status = Status::kFail;
  check.measured = INFINITY;
  check.bound = 3;
  check.compared = 12;
  check.first_divergence = Divergence{2, "reduction", "wte.weight", 1, -1};
  check.alpha = 2.0;
  check.diagnosis = "gradients x 2.000";
  CaseResult result;
  result.id = "dp.even/dp=2";
  result.status = Status::kFail;
  result.checks = {check};
  result.deciding_check = 0;
  result.ranks = {{0, 4711, 1, std::nullopt, "tail", "step 2"}, {1, 4712, std::nullopt, 9, "", ""}};
  result.artifacts = {{"evidence", "00ff"}};
  Record record;
  record.run_id = "r";
  record.profile = "core";
  record.command = {"lockstep", "conform"};
  record.complete = true;
  record.cases = {result};
  record.counts = {{"fail", 1}};
  record.exit_code = 1;
  return record;
}

TEST(Record, SurvivesTheWayThroughJson) {
  const nlohmann::json value = RecordToJson(SmallRecord());
  EXPECT_EQ(RecordToJson(RecordFromJson(value, "record.json")), value);
  EXPECT_EQ(value["cases"][0]["equivalence"]["measured"], "Inf");
  EXPECT_EQ(value["cases"][0]["equivalence"]["first_divergence"]["tensor"], "wte.weight");
}

TEST(Record, IgnoresWhatItDoesNotKnowButNotANewerMajorVersion) {
  nlohmann::json value = RecordToJson(SmallRecord());
  value["colour"] = "blue";
  value["schema_version"] = "1.7";
  EXPECT_NO_THROW(RecordFromJson(value, "record.json"));
  value["schema_version"] = "2.0";
  EXPECT_THAT(Refusal([&] { RecordFromJson(value, "record.json"); }), HasSubstr("record.json: schema_version: is 2.0"));
}

TEST(Record, RefusalsNameFileAndField) {
  const auto with = [](const char* pointer, const nlohmann::json& part) {
    nlohmann::json value = RecordToJson(SmallRecord());
    value[nlohmann::json::json_pointer(pointer)] = part;
    return Refusal([&] { RecordFromJson(value, "record.json"); });
  };
  EXPECT_THAT(with("/cases/0/status", "passed"), HasSubstr("record.json: cases[0].status: is \"passed\""));
  EXPECT_THAT(with("/cases/0/checks/0/measured", "high"), HasSubstr("record.json: cases[0].checks[0].measured"));
  EXPECT_THAT(with("/cases/0/deciding_check", 1), HasSubstr("record.json: cases[0].deciding_check: is 1"));
  EXPECT_THAT(with("/summary/counts/fail", -1), HasSubstr("record.json: summary.counts.fail: is -1"));
  EXPECT_THAT(with("/cases", 3), HasSubstr("record.json: cases: is 3"));
}

TEST(Status, EveryNameIsReadBack) {
  for (const Status status : {Status::kPass, Status::kFail, Status::kError, Status::kTimeout, Status::kUnsupported,
                              Status::kSkip, Status::kWaived, Status::kXfail, Status::kXpass}) {
    EXPECT_EQ(StatusFromName(NameOf(status)), status);
  }
  EXPECT_EQ(StatusFromName("passed"), std::nullopt);
}

}  // namespace
}  // namespace lockstep::protocol
