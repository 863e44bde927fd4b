// What the machine refuses: paths that can't be made or read, sizes that fit nowhere. One line, an exit code, and
// nothing lost that was there before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "suites/unit/cli/command_line.h"

namespace lockstep::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Mishap : public CommandLine {
 protected:
  void TearDown() override {
    ::unsetenv("LOCKSTEP_CACHE");
    CommandLine::TearDown();
  }
  // A path that no user, not even root, can look up.
  std::string Loop() {
    std::filesystem::create_symlink("loop", folder_ / "loop");
    return folder_ / "loop" / "file";
  }
  static void ExpectRefusal(const Outcome& outcome, const std::string& named) {
    EXPECT_EQ(outcome.code, 2) << outcome.out;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("lockstep: "), HasSubstr(named)));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
};

TEST_F(Mishap, AnOutputFolderThatCantBeMadeIsOneLine) {
  const std::string workload = SmallWorkload(), trainer = FakeTrainer("crash"), loop = Loop();
  for (const std::string& out : {std::string("/proc/lockstep/out"), loop}) {
    ExpectRefusal(Lockstep({"conform", "--trainer", trainer, "--workload", workload, "--out", out}), out);
    ExpectRefusal(Lockstep({"train", "--trainer", trainer, "--workload", workload, "--plan", "single", "--out", out}),
                  out);
    ExpectRefusal(Lockstep({"judge", out}), out);
  }
}

TEST_F(Mishap, ADefaultFolderThatCantBeMadeIsOneLine) {
  const std::string workload = SmallWorkload(), trainer = FakeTrainer("crash");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path("/proc");
  const Outcome outcome = Lockstep({"conform", "--trainer", trainer, "--workload", workload});
  std::filesystem::current_path(before);
  ExpectRefusal(outcome, "lockstep-out");
}

TEST_F(Mishap, ACacheThatCantBeMadeOrWrittenIsOneLineBeforeAnythingRuns) {
  const std::string workload = SmallWorkload(), trainer = FakeTrainer("crash");
  for (const char* cache : {"/proc/lockstep", "/proc"}) {
    ::setenv("LOCKSTEP_CACHE", cache, 1);
    ExpectRefusal(Lockstep({"conform", "--trainer", trainer, "--workload", workload, "--out", folder_ / "out"}),
                  "LOCKSTEP_CACHE");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
    ExpectRefusal(Lockstep({"train", "--trainer", trainer, "--out", folder_ / "out"}), "LOCKSTEP_CACHE");
  }
}

TEST_F(Mishap, FilesThatCantBeReachedAreOneLine) {
  const std::string loop = Loop(), out = folder_ / "out";
  ExpectRefusal(Lockstep({"train", "--data", loop, "--out", out}), loop);
  ExpectRefusal(Lockstep({"conform", "--workload", loop, "--out", out}), loop);
  ExpectRefusal(Lockstep({"conform", "--trainer", loop, "--out", out}), loop);
  ExpectRefusal(Lockstep({"conform", "--suites", loop, "--out", out}), loop);
  ExpectRefusal(Lockstep({"list", "cases", "--suites", loop}), loop);
}

TEST_F(Mishap, WhatFitsNowhereIsOneLine) {
  const std::string trainer = FakeTrainer("crash"), out = folder_ / "out";
  const std::vector<std::string> train{"train",  "--trainer", trainer, "--workload", SmallWorkload(),
                                       "--plan", "single",    "--out", out};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), train.begin(), train.end());
    return Lockstep(more);
  };
  ExpectRefusal(with({"--steps", "2000000000"}), "steps");
  ExpectRefusal(with({"--steps", "1000000000"}), "steps");
  const std::string huge = Write("huge.toml",
                                 "[model]\nkind = \"mlp\"\nsizes = [16777216, 16777216, 2]\n[optimizer]\nkind = "
                                 "\"sgd\"\n[training]\nglobal_batch = 4\nsteps = 3\n");
  ExpectRefusal(Lockstep({"conform", "--trainer", trainer, "--workload", huge, "--out", folder_ / "huge"}), "memory");
}

TEST_F(Mishap, LosesNoRunThatWasMadeBefore) {
  const char* text =
      "claim = \"c\"\nplans = [\"%\"]\nchecks = [\"effective_plan\"]\n[model]\nkind = \"gpt\"\n"
      "[optimizer]\nkind = \"sgd\"\n[data]\nkind = \"file\"\nfile = \"*\"\n[training]\nglobal_batch = 4\n";
  const auto with = [&](const std::string& id, const std::string& plan, const std::string& file) {
    std::string made = "id = \"" + id + "\"\n" + text;
    made.replace(made.find('%'), 1, plan);
    made.replace(made.find('*'), 1, file);
    Write("suites/conformance/cases/" + id + ".toml", made);
  };
  Write("text.txt", std::string(1000, 'x'));
  with("a", "single", folder_ / "text.txt");
  with("b", "dp=2", folder_ / "missing.txt");  // of a larger world: its turn comes after
  const Outcome outcome = Lockstep({"conform", "--trainer", FakeTrainer("crash"), "--suites", folder_ / "suites",
                                    "--case", "a", "--case", "b", "--out", folder_ / "out"});
  ExpectRefusal(outcome, "missing.txt");
  EXPECT_EQ(Lockstep({"judge", folder_ / "out"}).code, 4);
  const protocol::Record record = ReadRecord();
  EXPECT_FALSE(record.complete);
  ASSERT_EQ(record.cases.size(), 2u);
  EXPECT_EQ(record.cases[0].status, protocol::Status::kError);
  EXPECT_THAT(record.cases[0].reason, HasSubstr("no device is left"));
  EXPECT_EQ(record.cases[1].status, protocol::Status::kSkip);
}

}  // namespace
}  // namespace lockstep::cli
