// `lockstep train`: what it refuses, what it leaves alone, and what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/cli/training.h"
#include "harness/protocol/evidence.h"
#include "harness/schedule/generate.h"
#include "suites/unit/cli/command_line.h"

namespace lockstep::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Train : public CommandLine {
 protected:
  Outcome Run(std::vector<std::string> more) {
    std::vector<std::string> arguments{"train",  "--trainer", FakeTrainer("crash"), "--workload", SmallWorkload(),
                                       "--plan", "single"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Lockstep(arguments);
  }
};

TEST_F(Train, LeavesFilesAloneThatItDidNotWrite) {
  const std::string notes = Write("mine/request/notes.txt", "a year's work"),
                    figures = Write("mine/metrics.prom", "x 1");
  const Outcome outcome = Run({"--out", folder_ / "mine"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("holds files that `lockstep train` did not write"), HasSubstr("--out")));
  EXPECT_EQ(protocol::ReadTextFile(notes), "a year's work");
  EXPECT_EQ(protocol::ReadTextFile(figures), "x 1");
}

TEST_F(Train, LeavesARequestAloneThatIsNotIts) {
  const std::string request = Write("mine/request/request.json", "{\"method\": \"GET\"}");
  EXPECT_EQ(Run({"--out", folder_ / "mine"}).code, 2);
  EXPECT_TRUE(std::filesystem::exists(request));
}

TEST_F(Train, UsesItsOwnFolderAgainAndKeepsWhatLiesBesideItsFiles) {
  EXPECT_EQ(Run({"--out", folder_ / "out"}).code, 4);  // the trainer crashes, after the request is written
  const std::string notes = Write("out/request/notes.txt", "kept");
  Write("out/request/evidence/rank_00000/hello.json", "of an earlier run");
  EXPECT_EQ(Run({"--out", folder_ / "out"}).code, 4);
  EXPECT_EQ(protocol::ReadTextFile(notes), "kept");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out/request/evidence"));
}

TEST_F(Train, SaysThatItWasCutShort) {
  EXPECT_THAT(Run({"--out", folder_ / "out"}).out, HasSubstr("CUT SHORT after 0 of 3 steps"));
}

TEST_F(Train, SaysThatStepsOnTrialAreMadeToFillTheTime) {
  EXPECT_THAT(Run({"--minutes", "1", "--out", folder_ / "out"}).out, HasSubstr("8 steps on trial"));
}

// What a rank on virtual devices leaves, put there by a program that ends once it was seen.
TEST_F(CommandLine, TrainingSaysThatItsDevicesAreVirtual) {
  protocol::Request request;
  request.workload = protocol::ReadWorkloadToml(SmallWorkload());
  request.schedule = schedule::Generate(request.plan);
  protocol::Hello hello;
  hello.pid = 4711;  // until the program puts its own there
  hello.device_kind = "virtual";
  hello.effective.plan = request.plan;
  hello.effective.devices = {0};
  {
    protocol::EvidenceWriter writer(folder_ / "left", 0);
    writer.Write(hello);
    writer.Write(protocol::StepEvent{.step = 1, .loss = 1.5, .gradient_norm = 1, .learning_rate = 0.1});
  }
  protocol::Manifest manifest;
  manifest.file = Write("fake.toml", "");
  manifest.name = "fake";
  manifest.launch = {"sh", "-c",
                     R"(sed -i "s/4711/$$/" "$0"/evidence/*/hello.json; cp -r "$0/evidence" "$1"
                        until [ -e "$1/seen" ]; do :; done)",
                     folder_ / "left", "{requests}"};
  TrainingState seen;
  RunTraining(manifest, request, folder_ / "run", [&](const TrainingState& state) {
    seen = state;
    Write("run/seen", "");
  });
  EXPECT_EQ(seen.step, 1);
  EXPECT_TRUE(seen.virtual_devices);
}

TEST(StateText, NamesVirtualDevicesBesideTheirRate) {
  TrainingState state{.step = 3, .steps = 10, .loss = 1.5, .tokens_per_second = 42, .seconds_left = 7};
  EXPECT_EQ(StateText(state), "step 3 of 10  loss 1.5000  42 tokens/s  7 s left");
  state.virtual_devices = true;
  EXPECT_THAT(StateText(state), HasSubstr("42 tokens/s (virtual devices)"));
}

}  // namespace
}  // namespace lockstep::cli
