#include "harness/protocol/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>

#include "harness/publish/publish.h"
#include "harness/publish/system.h"
#include "harness/publish/text.h"
#include "suites/unit/publish/sample.h"

namespace lockstep::publish {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

fs::path Folder() {
  const char* named = std::getenv("LOCKSTEP_SAMPLE_DIR");
  const fs::path folder = named != nullptr ? named : fs::path(testing::TempDir()) / "lockstep_publish";
  for (const char* name : {"conform", "failing", "train"}) fs::create_directories(folder / name);
  return folder;
}

// The scripts of this folder and of dashboards/tests read what this one writes: it is their fixture.
TEST(SampleFiles, AreWrittenWhole) {
  const fs::path folder = Folder();
  WriteAll(folder / "conform", PassingRecord());
  WriteAll(folder / "failing", SampleRecord());
  WriteTrainMetrics(folder / "train", SampleTrain());
  protocol::WriteFileWhole(folder / "table.txt", Table(SampleRecord(), false) + TrainText(SampleTrain(), false));
  for (const char* name : {"record.json", "junit.xml", "summary.md", "metrics.prom"}) {
    EXPECT_GT(fs::file_size(folder / "failing" / name), 0u) << name;
  }
}

TEST(WriteRecord, KeepsEveryVerdictThroughReadingBack) {
  const fs::path folder = Folder() / "failing";
  WriteRecord(folder, SampleRecord());
  const protocol::Record read = protocol::RecordFromJson(protocol::ReadJson(folder / "record.json"), "record.json");
  ASSERT_EQ(read.cases.size(), SampleRecord().cases.size());
  EXPECT_EQ(read.counts, SampleRecord().counts);
  EXPECT_EQ(VerdictLine(read), SampleRecord().verdict);
  EXPECT_EQ(MetricsText(read), MetricsText(SampleRecord()));
}

TEST(Summary, PutsFailuresFirstAndLeavesNoMarkup) {
  const std::string text = SummaryText(SampleRecord());
  EXPECT_THAT(text, testing::StartsWith("## Lockstep: FAIL: 5 of 15 cases do not hold"));
  EXPECT_THAT(text, Not(HasSubstr("<script")));
  EXPECT_THAT(text, HasSubstr("&lt;script&gt;"));
  EXPECT_LT(text.find("### fail: dp.uneven"), text.find("<details>"));
  EXPECT_THAT(text, HasSubstr("first divergence: step 1, reduction"));
}

TEST(Summary, StaysBelowOneMebibyteAndSaysWhatItLeftOut) {
  protocol::Record record = SampleRecord();
  const std::vector<protocol::CaseResult> cases = record.cases;
  for (int i = 0; i < 400; ++i) record.cases.insert(record.cases.end(), cases.begin(), cases.end());
  const std::string text = SummaryText(record);
  EXPECT_LT(text.size(), 1u << 20);
  EXPECT_THAT(text, HasSubstr("more lines are left out; record.json has all."));
}

TEST(Measure, LeavesWarmUpOutOfTheMedian) {
  const json measure = Measure("x", "s", "lower", {100, 1, 3, 2}, 1);
  EXPECT_EQ(measure["median"], 2.0);
  EXPECT_EQ(measure["n"], 3);
  EXPECT_EQ(measure["samples"].size(), 4u);
  EXPECT_EQ(Measure("x", "s", "lower", {}, 1)["median"], "NaN");
  EXPECT_EQ(Measure("x", "s", "lower", {std::numeric_limits<double>::infinity()}, 0)["samples"][0], "Inf");
}

TEST(System, NamesDevicesOnceAndLiftsLibraries) {
  protocol::Hello hello;
  hello.device_kind = "host";
  hello.device_name = "a processor";
  hello.libraries = {{"Kokkos", "3.4.1"}, {"MPI", "4.1.4"}, {"oneDNN", "2.6.3"}};
  const json system = System(Machine(), {hello, hello});
  EXPECT_EQ(system["devices"].size(), 1u);
  EXPECT_EQ(system["kokkos"], "3.4.1");
  EXPECT_EQ(system["mpi"], "4.1.4");
  EXPECT_EQ(system["libraries"]["onednn"], "2.6.3");
  EXPECT_GE(system["cpu"]["cores"].get<int>(), 1);
}

TEST(Environment, KeepsOnlyWhatIsAllowed) {
  setenv("OMP_NUM_THREADS", "2", 1);
  setenv("LOCKSTEP_TEST_SECRET", "hush", 1);
  EXPECT_EQ(Environment()["OMP_NUM_THREADS"], "2");
  EXPECT_FALSE(Environment().contains("LOCKSTEP_TEST_SECRET"));
}

TEST(Times, ReadBackWhatTheyWrite) {
  EXPECT_EQ(IsoTime(1738367999), "2025-01-31T23:59:59Z");
  EXPECT_EQ(UnixTime("2025-01-31T23:59:59Z"), 1738367999);
  EXPECT_EQ(UnixTime("yesterday"), 0);
  EXPECT_NE(NewRunId(), NewRunId());
}

}  // namespace
}  // namespace lockstep::publish
