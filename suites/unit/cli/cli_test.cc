#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/cli/subcommand.h"
#include "suites/unit/cli/command_line.h"

namespace lockstep::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(CommandLine, RefusesMisspeltWordsWithTheNearestRightOne) {
  struct Row {
    std::vector<std::string> arguments;
    std::string suggestion;
  };
  for (const Row& row : std::vector<Row>{{{"confrom"}, "did you mean 'conform'"},
                                         {{"conform", "--profil", "core"}, "did you mean '--profile'"},
                                         {{"conform", "--profile=cor"}, "did you mean 'core'"},
                                         {{"conform", "--case", "dp.evne"}, "did you mean 'dp.even'"},
                                         {{"conform", "--trainer", "kokos"}, "did you mean 'kokkos'"},
                                         {{"list", "fautls"}, "did you mean 'faults'"},
                                         {{"train", "--plan", "dpp=2"}, "\"dp\""}}) {
    const Outcome outcome = Lockstep(row.arguments);
    EXPECT_EQ(outcome.code, 2) << row.suggestion;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("lockstep: "), HasSubstr(row.suggestion)));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(CommandLine, RefusesValuesThatMakeNoSenseInOnePlainLine) {
  struct Row {
    std::vector<std::string> arguments;
    std::string words;
  };
  const std::string huge = "99999999999999999999";
  for (const Row& row : std::vector<Row>{
           {{"conform", "--steps", "0"}, "--steps: is '0'; expected a whole number from 1 to 50000000"},
           {{"conform", "--steps", "three"}, "--steps: is 'three'; expected a whole number"},
           {{"conform", "--steps", huge}, "--steps: is '" + huge + "'; expected"},
           {{"train", "--steps", "1.5"}, "--steps: is '1.5'"},
           {{"conform", "--seed", "-1"}, "--seed: is '-1'; expected a whole number from 0"},
           {{"conform", "--deadline", "inf"}, "--deadline: is 'inf'; expected a number above 0"},
           {{"conform", "--deadline", "nan"}, "--deadline: is 'nan'"},
           {{"conform", "--deadline", "1e300"}, "--deadline: is '1e300'"},
           {{"train", "--minutes", "nan"}, "--minutes: is 'nan'"},
           {{"train", "--batch", "-3"}, "--batch: is '-3'"},
           {{"schedule", "show", "zb_h1", "-p", "0"}, "--ranks: is '0'; expected a whole number from 1 to 4096"}}) {
    const Outcome outcome = Lockstep(row.arguments);
    EXPECT_EQ(outcome.code, 2) << row.words;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("lockstep: "), HasSubstr(row.words)));
    EXPECT_LT(outcome.err.size(), 160u) << outcome.err;
  }
  EXPECT_EQ(Lockstep({"judge", folder_}).code, 2);
  EXPECT_EQ(Lockstep({"completion", "csh"}).code, 2);
}

TEST_F(CommandLine, RefusesOptionsThatItWouldHaveToIgnore) {
  struct Row {
    std::vector<std::string> arguments;
    std::string words;
  };
  const std::string workload = SmallWorkload(), text = Write("book.txt", std::string(1000, 'x'));
  for (const Row& row : std::vector<Row>{
           {{"conform", "--plan", "dp=2"}, "--workload"},
           {{"conform", "--workload", workload, "--case", "dp.even"}, "--workload: and --case exclude each other"},
           {{"conform", "--workload", workload, "--profile", "core"}, "--workload: and --profile exclude each other"},
           {{"train", "--steps", "5", "--minutes", "1"}, "--minutes"},
           {{"train", "--labels", text}, "--labels"},
           {{"train", "--data", text, "--labels", text}, "labels belong to IDX images"},
           {{"train", "--plan", ""}, "--plan: is empty"},
           {{"conform", "--profile", ""}, "--profile: is empty"},
           {{"list", "cases", "--trainer", "kokkos"}, "--trainer: says whose faults"},
           {{"list", "faults", "--suites", "x"}, "--suites: says where cases"}}) {
    const Outcome outcome = Lockstep(row.arguments);
    EXPECT_EQ(outcome.code, 2) << row.words;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("lockstep: "), HasSubstr(row.words)));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST_F(CommandLine, SaysThatAFolderIsNoData) {
  EXPECT_THAT(Lockstep({"train", "--data", "/"}).err, HasSubstr("lockstep: /: is a folder; expected a file"));
}

TEST_F(CommandLine, TeachesEverySubcommand) {
  const Outcome all = Lockstep({"--help"});
  EXPECT_EQ(all.code, 0);
  for (const Subcommand* each : AllSubcommands()) {
    EXPECT_THAT(all.out, HasSubstr(each->name));
    const Outcome one = Lockstep({each->name, "--help"});
    EXPECT_EQ(one.code, 0);
    EXPECT_THAT(one.out, HasSubstr("lockstep " + each->name));
    EXPECT_FALSE(each->examples.empty()) << each->name;
  }
}

TEST_F(CommandLine, ListsOneNameALineFirst) {
  for (const std::string kind : {"cases", "profiles", "checks", "trainers", "schedules"}) {
    const Outcome text = Lockstep({"list", kind}), json = Lockstep({"list", kind, "--json"});
    ASSERT_EQ(text.code, 0) << text.err;
    const nlohmann::json rows = nlohmann::json::parse(json.out);
    ASSERT_FALSE(rows.empty());
    std::istringstream lines(text.out);
    for (const nlohmann::json& row : rows) {
      std::string line;
      ASSERT_TRUE(std::getline(lines, line));
      EXPECT_EQ(line.substr(0, line.find(' ')), row.at("name").get<std::string>());
      EXPECT_FALSE(row.at("sentence").get<std::string>().empty());
    }
  }
}

TEST_F(CommandLine, WritesCompletionScriptsThatTheShellReads) {
  const Outcome bash = Lockstep({"completion", "bash"});
  std::ofstream(folder_ / "completion.bash") << bash.out;
  const std::string test = "source '" + (folder_ / "completion.bash").string() +
                           "' && COMP_WORDS=(lockstep conform --prof) COMP_CWORD=2 && _lockstep && "
                           "[ \"${COMPREPLY[0]}\" = --profile ] && "
                           "COMP_WORDS=(lockstep schedule ver) COMP_CWORD=2 && _lockstep && "
                           "[ \"${COMPREPLY[*]}\" = verify ] && "
                           "COMP_WORDS=(lockstep schedule simulate --lat) COMP_CWORD=3 && _lockstep && "
                           "[ \"${COMPREPLY[*]}\" = --latency ]";
  EXPECT_EQ(std::system(("bash -c " + std::string("\"") + "true\" && bash <<'END'\n" + test + "\nEND").c_str()), 0);
  EXPECT_THAT(Lockstep({"completion", "fish"}).out, HasSubstr("-l profile"));
  EXPECT_THAT(Lockstep({"completion", "zsh"}).out, HasSubstr("bashcompinit"));
}

TEST_F(CommandLine, NothingSelectedIsFive) { EXPECT_EQ(Lockstep({"conform", "--case", "nosuch.*"}).code, 5); }

TEST_F(CommandLine, NothingSupportedIsFive) {
  const Outcome outcome =
      Lockstep({"conform", "--trainer", FakeTrainer("nothing"), "--case", "dp.even/dp=2", "--out", folder_ / "out"});
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_EQ(ReadRecord().cases.at(0).status, protocol::Status::kUnsupported);
}

TEST_F(CommandLine, ATrainerThatCrashesIsFourWithItsWords) {
  const Outcome outcome =
      Lockstep({"conform", "--trainer", FakeTrainer("crash"), "--case", "dp.even/single", "--out", folder_ / "out"});
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  const protocol::Record record = ReadRecord();
  EXPECT_EQ(record.cases.at(0).status, protocol::Status::kError);
  EXPECT_THAT(record.cases.at(0).reason, HasSubstr("no device is left"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / "junit.xml"));
  EXPECT_EQ(Lockstep({"judge", folder_ / "out"}).code, 4);
}

TEST_F(CommandLine, AHangIsATimeOut) {
  const Outcome outcome = Lockstep({"conform", "--trainer", FakeTrainer("hang"), "--case",
                                    "dp.exact_grid/micro_batches=8", "--deadline", "0.5", "--out", folder_ / "out"});
  EXPECT_EQ(outcome.code, 124) << outcome.err;
  EXPECT_THAT(ReadRecord().cases.at(0).reason, HasSubstr("rank 0 (pid "));
}

TEST_F(CommandLine, AnInterruptLeavesARecordThatSaysSo) {
  const std::string trainer = FakeTrainer("hang"), out = folder_ / "out";
  const pid_t pid = fork();
  if (pid == 0) {
    const std::string program = LOCKSTEP_BINARY_DIR "/bin/lockstep", log = folder_ / "log";
    if (freopen(log.c_str(), "w", stdout) == nullptr || freopen(log.c_str(), "w", stderr) == nullptr) _exit(99);
    execl(program.c_str(), "lockstep", "conform", "--trainer", trainer.c_str(), "--case",
          "dp.exact_grid/micro_batches=8", "--out", out.c_str(), nullptr);
    _exit(99);
  }
  const auto hello = folder_ / "out/runs/dp.exact_grid/micro_batches=8/candidate/evidence/rank_00000/hello.json";
  int status = 0;
  while (!std::filesystem::exists(hello)) {
    ASSERT_EQ(waitpid(pid, &status, WNOHANG), 0) << "lockstep ended before its trainer began";
    usleep(10000);
  }
  kill(pid, SIGINT);
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(ReadRecord().complete);
}

}  // namespace
}  // namespace lockstep::cli
