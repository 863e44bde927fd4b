#include "harness/launch/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "harness/launch/process.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::launch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Processes of this machine whose environment holds `variable`.
std::vector<std::string> ProcessesWith(const std::string& variable) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos || name == std::to_string(getpid())) continue;
    if (ReadAll(entry.path() / "environ").find(variable) != std::string::npos) found.push_back(name);
  }
  return found;
}

class Launcher : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "launch-test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    manifest_.file = folder_ / "trainer.toml";
    manifest_.name = "fake";
    manifest_.launch = {"python3", LOCKSTEP_SOURCE_DIR "/suites/unit/launch/fake_trainer.py", "{world_size}",
                        "{requests}"};
    manifest_.environment["LAUNCH_TEST"] = folder_.filename();
  }

  // Whatever a test does, no process may be left when Launch() has returned.
  void TearDown() override {
    EXPECT_THAT(ProcessesWith("LAUNCH_TEST=" + folder_.filename().string()), ::testing::IsEmpty());
    std::filesystem::remove_all(folder_);
  }

  std::vector<RunEnd> Run(const std::vector<std::string>& names, std::int64_t world_size = 2) {
    Job job;
    job.world_size = world_size;
    job.limits = {.start_seconds = 60, .step_seconds = 60, .grace_seconds = 0.1, .total_seconds = 120};
    return Run(names, job);
  }

  std::vector<RunEnd> Run(const std::vector<std::string>& names, Job job) {
    for (const std::string& name : names) {
      std::filesystem::create_directories(folder_ / name);
      job.requests.push_back(folder_ / name);
    }
    return Launch(manifest_, job);
  }

  static Job Hasty() {
    Job job;
    job.world_size = 2;
    job.limits = {.start_seconds = 60, .step_seconds = 2, .grace_seconds = 0.1, .total_seconds = 120};
    return job;
  }

  std::filesystem::path folder_;
  protocol::Manifest manifest_;
};

TEST_F(Launcher, ServesSeveralRequestsInOneStart) {
  const std::vector<RunEnd> ends = Run({"a", "b", "c"});
  ASSERT_EQ(ends.size(), 3u);
  for (const RunEnd& end : ends) EXPECT_EQ(end.kind, EndKind::kDone) << end.reason;
  EXPECT_EQ(ReadAll(folder_ / "a" / "starts"), "a b c\n");
  EXPECT_EQ(ends[0].ranks.size(), 3u);  // the launcher and two ranks
}

TEST_F(Launcher, NamesAKilledRankAndRunsTheOthers) {
  const std::vector<RunEnd> ends = Run({"a", "kill_1", "b"});
  ASSERT_EQ(ends.size(), 3u);
  EXPECT_EQ(ends[0].kind, EndKind::kDone) << ends[0].reason;
  EXPECT_EQ(ends[1].kind, EndKind::kError);
  EXPECT_THAT(ends[1].reason, MatchesRegex("rank 1 \\(pid [0-9]+\\) (was killed by signal 9.*|died) after step 1"));
  EXPECT_EQ(ends[2].kind, EndKind::kDone) << ends[2].reason;
  EXPECT_EQ(ReadAll(folder_ / "b" / "starts"), "b\n");
}

TEST_F(Launcher, NamesAStoppedRankWithinTheDeadline) {
  const std::vector<RunEnd> ends = Run({"stop_1", "b"}, Hasty());
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0].kind, EndKind::kTimeout);
  EXPECT_THAT(ends[0].reason, AllOf(HasSubstr("rank 1 (pid "), HasSubstr("is stopped (state T) after step 1")));
  EXPECT_LT(ends[0].seconds, 60);
  EXPECT_EQ(ends[1].kind, EndKind::kDone) << ends[1].reason;
}

TEST_F(Launcher, NamesARankThatExitsBeforeItIsDone) {
  const std::vector<RunEnd> ends = Run({"exit_0"});
  EXPECT_EQ(ends.at(0).kind, EndKind::kError);
  EXPECT_THAT(ends.at(0).reason, AllOf(HasSubstr("rank 0 (pid "), HasSubstr("after step 1")));
}

TEST_F(Launcher, QuotesARankThatExitsWithAnError) {
  const std::vector<RunEnd> ends = Run({"fail_1"});
  EXPECT_EQ(ends.at(0).kind, EndKind::kError);
  EXPECT_THAT(ends.at(0).reason, HasSubstr("rank 1 (pid "));
  EXPECT_THAT(ends.at(0).ranks.at(0).stderr_tail, HasSubstr("workload.model.width is missing"));
}

TEST_F(Launcher, QuotesARankThatGivesUp) {
  const std::vector<RunEnd> ends = Run({"giveup_1"});
  EXPECT_EQ(ends.at(0).kind, EndKind::kError);
  EXPECT_THAT(ends.at(0).reason, HasSubstr("gave up: out of memory in step 2"));
}

TEST_F(Launcher, QuotesWhoGaveUpByItselfThoughEveryRankDidAndAnotherRequestWasLeft) {
  const std::vector<RunEnd> ends = Run({"quit", "b"});
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[0].kind, EndKind::kError);
  EXPECT_THAT(ends[0].reason, MatchesRegex("rank 1 \\(pid [0-9]+\\) gave up.*: mismatch"));
  EXPECT_EQ(ends[1].kind, EndKind::kDone) << ends[1].reason;
}

TEST_F(Launcher, NamesADeadRankThoughAPeerSawItsDeathBeforeAndGaveUp) {
  const std::vector<RunEnd> ends = Run({"lost_1"});
  EXPECT_EQ(ends.at(0).kind, EndKind::kError);
  EXPECT_THAT(ends.at(0).reason,
              MatchesRegex("rank 1 \\(pid [0-9]+\\) (was killed by signal 9.*|died) after step 1.*"));
}

TEST_F(Launcher, NamesARankThatWasTerminatedFromOutsideThoughAPeerSawThatBefore) {
  const std::vector<RunEnd> ends = Run({"evicted_1"});
  EXPECT_EQ(ends.at(0).kind, EndKind::kError);
  EXPECT_THAT(ends.at(0).reason,
              MatchesRegex("rank 1 \\(pid [0-9]+\\) (was killed by signal 15.*|died) after step 1.*"));
}

TEST_F(Launcher, NamesARankThatGaveUpByItselfThoughAnotherDiedAfterIt) {
  const std::vector<RunEnd> ends = Run({"taken_1"});
  EXPECT_EQ(ends.at(0).kind, EndKind::kError);
  EXPECT_THAT(ends.at(0).reason, MatchesRegex("rank 0 \\(pid [0-9]+\\) gave up.*: out of memory"));
}

TEST_F(Launcher, NamesARankThatNeverSaysHello) {
  Job job = Hasty();
  job.limits.start_seconds = 1.6;
  const std::vector<RunEnd> ends = Run({"silent_1"}, job);
  EXPECT_EQ(ends.at(0).kind, EndKind::kTimeout);
  EXPECT_THAT(ends.at(0).reason, AllOf(HasSubstr("rank 1"), HasSubstr("1 of 2 ranks never said hello within 1.8 s")));
}

TEST(StartSeconds, GrowWithTheNumberOfRanks) {
  const Limits limits{.start_seconds = 20};
  EXPECT_EQ(StartSeconds(limits, 1), 20);
  EXPECT_EQ(StartSeconds(limits, 17), 60);
}

TEST_F(Launcher, EndsAHangAndSaysWhoIsFurthestBehind) {
  const std::vector<RunEnd> ends = Run({"hang_0"}, Hasty());
  EXPECT_EQ(ends.at(0).kind, EndKind::kTimeout);
  EXPECT_THAT(ends.at(0).reason, AllOf(HasSubstr("rank 0 (pid "), HasSubstr("after step 1; no progress for 2 s")));
}

TEST_F(Launcher, EndsAnOrphanInASessionOfItsOwn) {
  const std::vector<RunEnd> ends = Run({"orphan"});
  EXPECT_EQ(ends.at(0).kind, EndKind::kDone) << ends.at(0).reason;  // TearDown looks for what is left
}

TEST_F(Launcher, GivesUpOnATrainerThatNeverStarts) {
  const std::vector<RunEnd> ends = Run({"unborn_1", "unborn_2", "unborn_3", "unborn_4", "unborn_5"});
  ASSERT_EQ(ends.size(), 5u);
  for (const RunEnd& end : ends) {
    EXPECT_EQ(end.kind, EndKind::kError);
    EXPECT_THAT(end.reason, AllOf(HasSubstr("rank 0"), HasSubstr("never said hello"), HasSubstr("exited with 3")));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "unborn_4" / "starts"));
}

TEST_F(Launcher, SaysWhatToSetUpWhenTheCommandIsMissing) {
  manifest_.launch = {"/nonexistent/trainer", "{requests}"};
  manifest_.setup = "ci/adapters";
  const std::vector<RunEnd> ends = Run({"a", "b"});
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_EQ(ends[1].kind, EndKind::kError);
  EXPECT_THAT(ends[1].reason, AllOf(HasSubstr("No such file"), HasSubstr("ci/adapters")));
}

TEST_F(Launcher, CallsBackWhileItRuns) {
  Job job = Hasty();
  int ticks = 0;
  job.on_tick = [&](double) { ++ticks; };
  Run({"hang_0"}, job);
  EXPECT_GE(ticks, 2);
}

TEST_F(Launcher, FillsInPlaceholdersOnce) {
  Job job;
  job.world_size = 4;
  job.fault = "{world_size}";
  job.requests = {"/x/a", "/x/b"};
  EXPECT_THAT(Expand(manifest_, {"-n={world_size}", "{requests}", "{fault}", "{unknown}", "{"}, job),
              ::testing::ElementsAre("-n=4", "/x/a", "/x/b", "{world_size}", "{unknown}", "{"));
}

TEST_F(Launcher, CapturesAShortCommandAndItsFailure) {
  EXPECT_EQ(Capture(manifest_, {"echo", "{world_size}"}, 10), "1\n");
  EXPECT_THROW(Capture(manifest_, {"sh", "-c", "echo no device >&2; exit 3"}, 10), protocol::BadInput);
  EXPECT_THROW(Capture(manifest_, {"sleep", "1000"}, 0.2), protocol::BadInput);
}

TEST(ProcessTree, DoesNotTouchProcessesThatAreNotItsOwn) {
  const std::filesystem::path out = std::filesystem::temp_directory_path() / ("tree-" + std::to_string(getpid()));
  ProcessTree::Command sleeper{{"sleep", "1000"}, {}, out, out};
  ProcessTree bystander(sleeper);
  {
    ProcessTree tree(sleeper);
    EXPECT_FALSE(tree.Belongs(bystander.root()));
    EXPECT_TRUE(tree.Belongs(tree.root()));
  }
  EXPECT_TRUE(Inspect(bystander.root()).Alive());
  std::filesystem::remove(out);
}

}  // namespace
}  // namespace lockstep::launch
