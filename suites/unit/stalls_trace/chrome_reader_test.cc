#include "harness/stalls/trace/chrome_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "suites/unit/stalls_trace/torch_trace.h"

namespace lockstep::stalls {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Refusal(const std::string& text) {
  try {
    ChromeTraceFromText(text, "t.json");
  } catch (const protocol::BadInput& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ChromeReader, ReadsAbsoluteNanoseconds) {
  TorchTrace trace(1, 2);
  trace.Base(1'700'000'000'000'000'000).Shift(0).Op("aten::mm", 4687205631368.547, 4687205631370.047, 3);
  const ChromeTrace read = ChromeTraceFromText(trace.Text(), "t.json");
  ASSERT_EQ(read.slices.size(), 1u);
  EXPECT_EQ(read.slices[0].began, 1'700'000'000'000'000'000 + 4'687'205'631'368'547);
  EXPECT_NEAR(static_cast<double>(read.slices[0].ended - read.slices[0].began), 1500, 1);
  EXPECT_EQ(read.slices[0].sequence, 3);
  EXPECT_EQ(read.Name(read.slices[0]), "aten::mm");
  EXPECT_EQ(read.rank, 1);
  EXPECT_EQ(read.world_size, 2);
  EXPECT_EQ(read.host, "node");
}

TEST(ChromeReader, TakesAListOfEventsAlone) {
  const ChromeTrace read = ChromeTraceFromText(
      R"([{"ph": "X", "name": "a", "pid": 1, "tid": "main", "ts": 5, "dur": 1},
          {"ph": "i", "name": "b", "ts": "whenever"},
          {"ph": "X", "name": "c", "pid": 1, "tid": "main", "ts": 2, "dur": 1, "args": {"x": {"ph": "X"}}}])",
      "t.json");
  ASSERT_EQ(read.slices.size(), 2u);
  EXPECT_EQ(read.Name(read.slices[0]), "c");
  EXPECT_EQ(read.slices[0].thread, read.slices[1].thread);
}

TEST(ChromeReader, ReadsTheRanksOfACollectiveAsListAndAsText) {
  TorchTrace trace;
  trace.Add("kernel", "ncclDevKernel", 7, 0, 1,
            {{"Collective name", "allreduce"}, {"Process Group Name", "3"}, {"Process Group Ranks", {0, 2}}});
  trace.Add("kernel", "ncclDevKernel", 7, 2, 3, {{"Collective name", "allreduce"}, {"Process Group Ranks", "[0, 2]"}});
  trace.Add("kernel", "ncclDevKernel", 7, 4, 5,
            {{"Collective name", "allreduce"}, {"Process Group Ranks", "[0, 2, ..., 62]"}});
  const ChromeTrace read = ChromeTraceFromText(trace.Text(), "t.json");
  ASSERT_EQ(read.collectives.size(), 3u);
  EXPECT_EQ(read.collectives[0].group, "3");
  EXPECT_THAT(read.collectives[0].ranks, ElementsAre(0, 2));
  EXPECT_THAT(read.collectives[1].ranks, ElementsAre(0, 2));
  EXPECT_TRUE(read.collectives[2].ranks.empty());
}

TEST(ChromeReader, RefusesATraceThatIsCutShort) {
  const std::string whole = TorchTrace(0, 1).Step(1, 0, 50, 60).Text();
  for (const std::size_t length : {whole.size() - 1, whole.size() / 2, std::size_t{20}, std::size_t{1}}) {
    EXPECT_THAT(Refusal(whole.substr(0, length)), AllOf(HasSubstr("t.json"), HasSubstr("cut short"))) << length;
  }
}

TEST(ChromeReader, RefusesWhatIsNoTrace) {
  EXPECT_THAT(Refusal(""), HasSubstr("cut short"));
  EXPECT_THAT(Refusal("step,rank\n1,0\n"), HasSubstr("not JSON"));
  EXPECT_THAT(Refusal(R"({"schemaVersion": 1})"), HasSubstr("has no \"traceEvents\""));
  EXPECT_THAT(Refusal(R"({"traceEvents": 3})"), HasSubstr("has no \"traceEvents\""));
  EXPECT_THAT(Refusal("7"), HasSubstr("has no \"traceEvents\""));
  EXPECT_THAT(Refusal("\x1f\x8b\x08"), HasSubstr("gunzip"));
  EXPECT_THAT(Refusal(std::string(200, '[')), HasSubstr("nested deeper"));
}

TEST(ChromeReader, NamesTheEventAndTheFieldThatIsWrong) {
  const auto with = [](const std::string& fields) {
    return R"({"traceEvents": [{"ph": "M", "name": "x"}, {"ph": "X", "name": "a", "pid": 1, "tid": 1, )" + fields +
           "}]}";
  };
  EXPECT_THAT(Refusal(with(R"("ts": "5", "dur": 1)")), HasSubstr("traceEvents[1].ts: is no number"));
  EXPECT_THAT(Refusal(with(R"("ts": 5)")), HasSubstr("traceEvents[1].dur: is missing"));
  EXPECT_THAT(Refusal(with(R"("ts": 5, "dur": -1)")), HasSubstr("traceEvents[1].dur: is -1"));
  EXPECT_THAT(Refusal(with(R"("ts": 1e300, "dur": 1)")), HasSubstr("traceEvents[1].ts: is 1e+300"));
  EXPECT_THAT(Refusal(with(R"("ts": 1e999, "dur": 1)")), HasSubstr("t.json"));
  EXPECT_THAT(Refusal(R"({"baseTimeNanoseconds": -4, "traceEvents": []})"), HasSubstr("baseTimeNanoseconds: is -4"));
  EXPECT_THAT(Refusal(R"({"distributedInfo": {"rank": "zero"}, "traceEvents": []})"),
              HasSubstr("distributedInfo.rank: is \"zero\""));
}

}  // namespace
}  // namespace lockstep::stalls
