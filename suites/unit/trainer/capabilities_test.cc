// What is refused before anything is built, and in which words.
#include "reference/trainer/capabilities.h"

#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "suites/unit/trainer/runs.h"

namespace lockstep::trainer::testing {
namespace {

std::string RefusalOf(const protocol::Request& request) {
  try {
    Refuse(request, Describe("test"), "request.json");
  } catch (const protocol::BadInput& refusal) {
    return refusal.what();
  }
  return "";
}

std::string RefusalOfLine(const std::string& line) {
  protocol::Request request = RequestOf(Mlp(), "micro_batches=2");
  request.schedule.ranks = {protocol::ParseActions(line, "test")};
  return RefusalOf(request);
}

TEST(Refusal, LetsThroughWhatItDescribes) {
  EXPECT_EQ(RefusalOf(RequestOf(Gpt(), "dp=2,pp=3,tp=3,micro_batches=2")), "");
  EXPECT_EQ(RefusalOfLine("0F0,0F1,0B1,0B0"), "");
  EXPECT_EQ(RefusalOfLine("0F0,0F1,0I1,0I0,0W0,0W1"), "");
}

TEST(Refusal, NamesPrecisionAndRecomputation) {
  protocol::Request request = RequestOf(Gpt(), "single");
  request.workload.precision = protocol::Precision::kF64;
  EXPECT_NE(RefusalOf(request).find("fp64"), std::string::npos);
  request = RequestOf(Gpt(), "single");
  request.plan.recompute = true;
  EXPECT_NE(RefusalOf(request), "");
}

TEST(Refusal, NamesTheOperationThatCannotRun) {
  EXPECT_NE(RefusalOfLine("0F0,0B0,0B1,0F1").find("0B1 before its forward"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0B0,0B0,0F1,0B1").find("0B0 twice"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0B0,0I0,0F1,0B1").find("0I0 twice"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0I0,0W0,0W0,0F1,0B1").find("0W0 twice"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0W0,0I0,0F1,0B1").find("0W0 before its input gradient"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0F1,0B0").find("0F1 has no backward"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0F1,0B0,0I1").find("0F1 has an input gradient and no weight"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0B0").find("hold no 0F1"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0B0,0F1,0B1,1F0,1B0").find("1F0 is of a stage"), std::string::npos);
  EXPECT_NE(RefusalOfLine("0F0,0B0,0F2,0B2").find("0F2 is of no micro-batch"), std::string::npos);
}

TEST(Refusal, NamesAVocabularySmallerThanItsRanks) {
  protocol::Request request = RequestOf(Gpt(), "tp=3");
  request.workload.model.vocabulary = 2;
  EXPECT_NE(RefusalOf(request).find("vocabulary"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::trainer::testing
