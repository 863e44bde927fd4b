#include "harness/stalls/trace/chrome_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::stalls {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json Written(ChromeWriter& writer) {
  const std::string file = testing::TempDir() + "chrome_writer_test.json";
  writer.Write(file, {{"run", "test"}});
  return protocol::ReadJson(file);
}

std::vector<json> OfPhase(const json& file, const std::string& phase) {
  std::vector<json> found;
  for (const json& event : file.at("traceEvents")) {
    if (event.at("ph") == phase) found.push_back(event);
  }
  return found;
}

TEST(ChromeWriter, WritesTimesToTheNanosecond) {
  ChromeWriter writer;
  writer.AddProcess(0, "rank 0", "");
  writer.AddRow(0, "compute", Overlap::kNests, {{1'234'567'890'123, 1'234'567'890'124, "F", "op"}});
  const std::string file = testing::TempDir() + "chrome_writer_test.json";
  writer.Write(file, {});
  EXPECT_THAT(protocol::ReadTextFile(file), HasSubstr(R"("ts":1234567890.123,"dur":0.001)"));
}

TEST(ChromeWriter, MeansTheSameToReadersThatRoundAndToThoseThatCutOff) {
  ChromeWriter writer;
  std::vector<ChromeSlice> slices;
  for (std::int64_t i = 0; i < 20'000; ++i) slices.push_back({i * 1'234'567, i * 1'234'567 + i % 1000, "F", "op"});
  writer.AddRow(0, "compute", Overlap::kNests, slices);
  const auto written = OfPhase(Written(writer), "X");
  ASSERT_EQ(written.size(), slices.size());
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const double began = written[i].at("ts").get<double>() * 1000.0,
                 length = written[i].at("dur").get<double>() * 1000.0;
    ASSERT_EQ(static_cast<std::int64_t>(began), slices[i].began);
    ASSERT_EQ(std::llround(began), slices[i].began);
    ASSERT_EQ(static_cast<std::int64_t>(length), slices[i].ended - slices[i].began);
    ASSERT_EQ(std::llround(length), slices[i].ended - slices[i].began);
  }
}

TEST(ChromeWriter, PutsWhatLiesInsideBehindWhatItLiesIn) {
  ChromeWriter writer;
  writer.AddProcess(0, "rank 0", "");
  writer.AddRow(0, "time", Overlap::kNests, {{0, 10, "inner", "op"}, {0, 100, "step", "op"}});
  const auto slices = OfPhase(Written(writer), "X");
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(slices[0].at("name"), "step");
  EXPECT_EQ(slices[0].at("tid"), slices[1].at("tid"));
}

TEST(ChromeWriter, OpensAFurtherRowWhereSlicesOverlapWithoutNesting) {
  ChromeWriter writer;
  writer.AddProcess(0, "rank 0", "");
  const auto places =
      writer.AddRow(0, "host", Overlap::kNests, {{0, 10, "a", "op"}, {5, 15, "b", "op"}, {15, 20, "c", "op"}});
  EXPECT_NE(places[0].thread, places[1].thread);
  EXPECT_EQ(places[0].thread, places[2].thread);
  const auto names = OfPhase(Written(writer), "M");
  const auto second = std::find_if(names.begin(), names.end(), [&](const json& event) {
    return event.at("name") == "thread_name" && event.at("tid") == places[1].thread;
  });
  ASSERT_NE(second, names.end());
  EXPECT_EQ(second->at("args").at("name"), "host 2");
}

TEST(ChromeWriter, KeepsMessagesThatLieInEachOtherApartWhereRowsAreAsked) {
  ChromeWriter writer;
  const auto places =
      writer.AddRow(0, "communication", Overlap::kNextRow, {{0, 100, "a", "message"}, {10, 20, "b", "message"}});
  EXPECT_NE(places[0].thread, places[1].thread);
}

TEST(ChromeWriter, GivesThreadsIdsThatNoProcessHas) {
  ChromeWriter writer;
  for (std::int64_t rank = 0; rank < 3; ++rank) {
    writer.AddProcess(rank, "rank " + std::to_string(rank), "");
    for (const ChromePlace& place : writer.AddRow(rank, "compute", Overlap::kNests, {{0, 1, "F", "op"}})) {
      EXPECT_GT(place.thread, 4096);
    }
  }
}

TEST(ChromeWriter, BindsAFlowInsideBothSlices) {
  ChromeWriter writer;
  const ChromePlace from{0, 7, 100, 200}, to{1, 8, 150, 300};
  ASSERT_TRUE(writer.AddFlow("activation", "message", from, to));
  const json file = Written(writer);
  const json start = OfPhase(file, "s").at(0), end = OfPhase(file, "f").at(0);
  EXPECT_EQ(start.at("ts"), 0.1);
  EXPECT_EQ(end.at("ts"), 0.299);
  EXPECT_EQ(end.at("bp"), "e");
  EXPECT_EQ(start.at("id"), end.at("id"));
}

TEST(ChromeWriter, DrawsNoArrowBackInTime) {
  ChromeWriter writer;
  EXPECT_FALSE(writer.AddFlow("activation", "message", {0, 7, 100, 200}, {1, 8, 50, 100}));
  EXPECT_TRUE(OfPhase(Written(writer), "s").empty());
}

TEST(ChromeWriter, WritesWhateverATrainerCalledItsSpan) {
  ChromeWriter writer;
  writer.AddRow(0, "host", Overlap::kNests, {{0, 1, "a \"quoted\" \n\xff name", "span"}});
  EXPECT_THAT(OfPhase(Written(writer), "X").at(0).at("name").get<std::string>(), HasSubstr("\"quoted\""));
}

TEST(ChromeWriter, LeavesNothingWhereAFileCantBe) {
  ChromeWriter writer;
  EXPECT_THROW(writer.Write(testing::TempDir() + "no/such/folder/trace.json", {}), protocol::BadInput);
}

}  // namespace
}  // namespace lockstep::stalls
