// `lockstep schedule` as its user sees it: what it prints, and with which exit code.
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "suites/unit/cli/run.h"

namespace lockstep::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ScheduleCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "schedule-test-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  std::filesystem::path folder_;
};

TEST_F(ScheduleCommand, RefusesTheSixInputsThatOtherCheckersAcceptWithTheOperationNamed) {
  const std::string down = "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1\n";
  struct Row {
    std::string text, operation;
  };
  for (const Row& row : std::vector<Row>{
           {"0F0,0B0,0B0\n", "rank 0, position 2, 0B0: executed twice"},
           {"0F0,0I0,0W0\n1F0,1I0\n", "rank 1, position 1, 1I0: its weight gradient, 1W0, is never computed"},
           {"0F0,0W0,0I0\n", "rank 0, position 1, 0W0: stands before 0I0"},
           {"0F0,0B0,0F1,0B1\n1F0,1F1,1B0,1B1\n", "rank 0, position 1, 0B0: deadlock: waits for 1B0"},
           {down + "1RECV_F1,1RECV_F0,1F0,1F1,1B0,1SEND_B0,1B1,1SEND_B1\n",
            "rank 1, position 0, 1RECV_F1: comes upon the message of 0SEND_F0"},
           {down + "1RECV_F0,1F0,1B0,1SEND_B0,1RECV_F1,1F1,1B1,1SEND_B1\n",
            "rank 0, position 3, 0SEND_F1: deadlock on rendezvous channels: waits for 1RECV_F1"},
           {"0F0,0RECV_B0,0B0\n1RECV_F0,1F0,1B0,1SEND_B0\n", "rank 1, position 0, 1RECV_F0: nobody sends it"}}) {
    const Outcome outcome = Lockstep({"schedule", "verify", File("wrong.csv", row.text)});
    EXPECT_EQ(outcome.code, 1) << row.text;
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("wrong.csv: refused: "), HasSubstr(row.operation)));
  }
}

TEST_F(ScheduleCommand, SaysOnWhichChannelsARefusedScheduleRuns) {
  const std::string file = File("sends.csv",
                                "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1\n"
                                "1RECV_F0,1F0,1B0,1SEND_B0,1RECV_F1,1F1,1B1,1SEND_B1\n");
  EXPECT_THAT(Lockstep({"schedule", "verify", file}).out,
              HasSubstr("It does run on these channels: unbounded, bounded 1"));
  EXPECT_EQ(Lockstep({"schedule", "verify", file, "--channels", "bounded 1"}).code, 0);
  EXPECT_EQ(Lockstep({"schedule", "simulate", file, "--channels", "unbounded"}).code, 0);
  const Outcome refused = Lockstep({"schedule", "simulate", file});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("refused: rank 0, position 3, 0SEND_F1"));
}

TEST_F(ScheduleCommand, ProvesWhatHolds) {
  const Outcome outcome = Lockstep({"schedule", "verify", "zb_v", "-p", "4", "-m", "8"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("zb_v: holds: 4 ranks, 8 stages, 8 micro-batches"));
  const auto verdict = nlohmann::json::parse(Lockstep({"schedule", "verify", "1f1b", "--json"}).out);
  EXPECT_EQ(verdict["holds"], true);
  const auto problem =
      nlohmann::json::parse(Lockstep({"schedule", "verify", File("x.csv", "0F0,0B0,0B0\n"), "--json"}).out)["problem"];
  EXPECT_EQ(problem["rank"], 0);
  EXPECT_EQ(problem["position"], 2);
  EXPECT_EQ(problem["action"], "0B0");
}

TEST_F(ScheduleCommand, ExitsWithTwoOnWhatItCanNotRead) {
  struct Row {
    std::vector<std::string> words;
    std::string said;
  };
  const std::string wrong = File("wrong.csv", "0F0,0B0\n1F0,oops\n"), right = File("right.csv", "0F0,0B0\n");
  for (const Row& row : std::vector<Row>{
           {{"verify", wrong}, "wrong.csv: line 2, cell 2: \"oops\" is not an action"},
           {{"verify", folder_ / "none.csv"}, "is no schedule's name and no file"},
           {{"verify", folder_}, "is a folder"},
           {{"show", "1f2b"}, "did you mean '1f1b'?"},
           {{"shwo", "1f1b"}, "shwo: no such subcommand; did you mean 'show'?"},
           {{"show", "1f1b", "--svgg", "x"}, "--svgg: no such option; did you mean '--svg'?"},
           {{"show", "1f1b", "--color", "allways"}, "did you mean 'always'?"},
           {{"show", "1f1b", "--from", "1000"}, "--from: is 1000; the schedule ends at tick"},
           {{"show", "1f1b", "--from", "5", "--to", "5"}, "--to: is 5; expected a tick after --from"},
           {{"convert", "1f1b", "--to", "trch"}, "--to: is 'trch'; did you mean 'torch'?"},
           {{"convert", "dualpipe", "--to", "torch"}, "torch.distributed.pipelining has each stage on one rank"},
           {{"simulate", "gpipe", "-v", "2"}, "'gpipe' lays out exactly 1 chunk a rank, not 2"},
           {{"simulate", "gpipe", "-p", "1"}, "--ranks: is 1; expected at least 2"},
           {{"simulate", "gpipe", "-p", "4000", "-m", "1000000"}, "more than 50000000 actions"},
           {{"simulate", "gpipe", "--forward", "1,2"}, "--forward: is \"1,2\"; expected one whole number"},
           {{"simulate", "gpipe", "--channels", "rendezvos"}, "expected unbounded, bounded N or rendezvous"},
           {{"simulate", right, "-p", "2"}, "right.csv has its own shape"},
           {{}, "A subcommand is required; see `lockstep schedule --help`"}}) {
    std::vector<std::string> words{"schedule"};
    words.insert(words.end(), row.words.begin(), row.words.end());
    const Outcome outcome = Lockstep(words);
    EXPECT_EQ(outcome.code, 2) << row.said;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("lockstep: "), HasSubstr(row.said)));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_F(ScheduleCommand, TeachesEachOfItsOwnSubcommands) {
  for (const char* name : {"show", "verify", "simulate", "convert"}) {
    const Outcome help = Lockstep({"schedule", name, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, HasSubstr(std::string("Examples:\n  lockstep schedule ") + name));
  }
}

TEST_F(ScheduleCommand, DrawsInTheTerminalAndAsSvg) {
  const Outcome plain = Lockstep({"schedule", "show", "1f1b", "-p", "2", "-m", "2"});
  EXPECT_EQ(plain.code, 0);
  EXPECT_THAT(plain.out, HasSubstr("rank 1  ...F0 B0--- F1 B1--- "));  // no colour where there is no terminal
  EXPECT_THAT(Lockstep({"schedule", "show", "1f1b", "--color", "always"}).out, HasSubstr("\033[38;5;16;48;5;117m"));
  const std::string file = folder_ / "x.svg";
  EXPECT_EQ(Lockstep({"schedule", "show", "1f1b", "--svg", file}).code, 0);
  EXPECT_EQ(protocol::ReadTextFile(file), Lockstep({"schedule", "show", "1f1b", "--svg", "-"}).out);
}

TEST_F(ScheduleCommand, SimulatesBesideTheClosedForm) {
  const Outcome table = Lockstep({"schedule", "simulate", "zb_h1", "-p", "4", "-m", "8", "--forward", "4", "--input",
                                  "3", "--weight", "2", "--activation-bytes", "100"});
  EXPECT_EQ(table.code, 0);
  EXPECT_THAT(table.out, AllOf(HasSubstr("makespan 87 ticks"), HasSubstr("(p-1)(F+I-W)"), HasSubstr("15 ="),
                               HasSubstr("400"), HasSubstr("critical path, 87 ticks")));
  EXPECT_THAT(table.out, ::testing::Not(HasSubstr("NOT")));
  // A weight gradient longer than a forward: the paper's formula doesn't hold, and nothing is said.
  EXPECT_THAT(Lockstep({"schedule", "simulate", "zb_h1", "--forward", "1", "--weight", "2"}).out,
              HasSubstr("no closed form"));
  const auto json =
      nlohmann::json::parse(Lockstep({"schedule", "simulate", "1f1b", "-p", "3", "-m", "5", "--json"}).out);
  EXPECT_EQ(json["makespan"], (5 + 2) * 3);
  EXPECT_EQ(json["ranks"][2]["peak_activations"], 1);
  EXPECT_EQ(json["ranks"][2]["closed_form"]["makespan_idle"], 6);
}

TEST_F(ScheduleCommand, ConvertsBothWays) {
  const std::string csv = folder_ / "zb_v.csv", own = folder_ / "zb_v.schedule";
  ASSERT_EQ(Lockstep({"schedule", "convert", "zb_v", "-p", "2", "-m", "3", "--to", "torch", "--out", csv}).code, 0);
  ASSERT_EQ(Lockstep({"schedule", "convert", csv, "--to", "lockstep", "--forward", "7", "--out", own}).code, 0);
  EXPECT_THAT(protocol::ReadTextFile(own), AllOf(StartsWith("# lockstep schedule 1\n# name: zb_v\n"),
                                                 HasSubstr("# placement: 0 3, 1 2\n"), HasSubstr("# forward: 7\n")));
  EXPECT_EQ(Lockstep({"schedule", "convert", own, "--to", "torch"}).out, protocol::ReadTextFile(csv));
  const std::string with = Lockstep({"schedule", "convert", own, "--to", "torch", "--with-transfers"}).out;
  EXPECT_THAT(with, HasSubstr("0SEND_F0"));
  EXPECT_EQ(Lockstep({"schedule", "convert", File("with.csv", with), "--to", "torch", "--compute-only"}).out,
            protocol::ReadTextFile(csv));
}

}  // namespace
}  // namespace lockstep::cli
