// What every case file of suites/conformance owes: a pipeline adds the same numbers in the same order as one device, so
// it must be held to the last bit, or its file says why it can't be.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "harness/conform/case.h"
#include "harness/protocol/files.h"
#include "harness/schedule/generate.h"

namespace lockstep::conform {
namespace {

const std::filesystem::path kSuites = LOCKSTEP_SOURCE_DIR "/suites";

bool IsAPipelineWithEqualMicroBatches(const Case& value) {
  const protocol::Plan& plan = value.plan;
  return plan.pipeline > 1 && plan.data == 1 && plan.tensor == 1 &&
         value.workload.global_batch % plan.micro_batches == 0;
}

// `# Not by_construction: REASON`, at the head of the case's file.
bool SaysWhyNot(const std::string& id) {
  const std::string text = protocol::ReadTextFile(kSuites / "conformance" / "cases" / (id + ".toml"));
  return std::regex_search(text, std::regex("^# Not by_construction: \\S+ \\S+"));
}

TEST(CasesOfTheSuite, HoldEveryPipelineWithEqualMicroBatchesToTheLastBitOrSayWhyNot) {
  std::set<std::string> excused, schedules, generators;
  int held = 0;
  for (const Case& each : AllCases(kSuites)) {
    const std::string file = each.id.substr(0, each.id.find('/'));
    const bool listed = std::count(each.checks.begin(), each.checks.end(), "by_construction") > 0;
    EXPECT_FALSE(listed && SaysWhyNot(file)) << file << " lists by_construction and says why not";
    if (!IsAPipelineWithEqualMicroBatches(each)) continue;
    held += listed;
    if (listed) schedules.insert(each.plan.schedule);
    if (listed) continue;
    EXPECT_TRUE(SaysWhyNot(file)) << each.id << ": neither by_construction nor a line `# Not by_construction: WHY`";
    excused.insert(each.plan.schedule);
  }
  EXPECT_GE(held, 30);
  EXPECT_EQ(excused, std::set<std::string>{"dualpipe"}) << "stages on two ranks are the only known reason";
  for (const schedule::Generator* generator : schedule::AllGenerators()) generators.insert(generator->name);
  schedules.insert(excused.begin(), excused.end());
  EXPECT_EQ(schedules, generators) << "each has a case";
}

}  // namespace
}  // namespace lockstep::conform
