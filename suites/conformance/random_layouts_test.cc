// Right runs over random workloads and layouts: not one may be called wrong. 20 by default; LOCKSTEP_RANDOM_RUNS=200
// for the nightly run. Each is drawn from its number alone, so a failing one can be run again by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>

#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}
  // mt19937's values are the same everywhere; std's distributions are not.
  int Between(int low, int high) {
    return low + static_cast<int>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  template <typename T>
  T OneOf(const std::vector<T>& list) {
    return list[static_cast<std::size_t>(Between(0, static_cast<int>(list.size()) - 1))];
  }

 private:
  std::mt19937 engine_;
};

struct Drawn {
  std::string workload, plan;
};

// At most eight ranks.
Drawn DrawRun(std::uint32_t seed) {
  Draw draw(seed);
  const int tensor = draw.OneOf<int>({1, 1, 2, 3}), pipeline = draw.OneOf<int>({1, 1, 2, 3});
  const int data = tensor * pipeline > 2 ? draw.Between(1, std::max(1, 8 / (tensor * pipeline))) : draw.Between(1, 4);
  const int micro = draw.Between(1, 4), batch = data * micro + draw.Between(0, 5);
  const int heads = tensor + draw.Between(0, 2), width = heads * draw.OneOf<int>({4, 5, 7, 8});
  std::string schedule = draw.OneOf<std::string>({"1f1b", "gpipe", "zb_h1", "zb_h2", "looped_bfs", "zb_v"});
  if (pipeline == 1) schedule = "1f1b";
  const int chunks = schedule == "looped_bfs" || schedule == "zb_v" ? 2 : 1;
  const int layers = pipeline * chunks + draw.Between(0, 2);
  const bool gpt = draw.Between(0, 3) > 0;
  std::string text;
  if (gpt) {
    text = "[model]\nkind = \"gpt\"\nlayers = " + std::to_string(layers) + "\nwidth = " + std::to_string(width) +
           "\nheads = " + std::to_string(heads) + "\nmlp_width = " + std::to_string(draw.Between(tensor, 70)) +
           "\nvocabulary = " + std::to_string(draw.Between(11, 80)) +
           "\nsequence = " + std::to_string(draw.Between(3, 20)) +
           "\ntied = " + draw.OneOf<std::string>({"true", "false"}) +
           "\ndropout = " + draw.OneOf<std::string>({"0.0", "0.0", "0.2"}) + "\n";
  } else {
    text = "[model]\nkind = \"mlp\"\nsizes = [" + std::to_string(draw.Between(5, 20));
    for (int i = 0; i < layers; ++i) text += ", " + std::to_string(draw.Between(5, 20));
    text += "]\nactivation = \"" + draw.OneOf<std::string>({"relu", "gelu"}) + "\"\nloss = \"" +
            draw.OneOf<std::string>({"squared_error", "cross_entropy"}) + "\"\n";
  }
  text += "[optimizer]\nkind = \"" + draw.OneOf<std::string>({"sgd", "momentum", "adamw"}) +
          "\"\nlearning_rate = 0.01\nweight_decay = 0.01\nclip_norm = " + draw.OneOf<std::string>({"0.0", "0.5"}) +
          "\n";
  text += "[data]\nuneven = " + draw.OneOf<std::string>({"true", "false"}) + "\n";
  text += "[training]\nprecision = \"" + draw.OneOf<std::string>({"fp32", "fp32", "bf16"}) +
          "\"\nglobal_batch = " + std::to_string(batch) + "\nsteps = 3\nseed = " + std::to_string(seed + 1) + "\n";
  std::string plan = "dp=" + std::to_string(data) + ",pp=" + std::to_string(pipeline) +
                     ",tp=" + std::to_string(tensor) + ",micro_batches=" + std::to_string(micro) +
                     ",chunks=" + std::to_string(chunks) + ",schedule=" + schedule;
  if (gpt && tensor > 1 && draw.Between(0, 1) == 1) plan += ",sequence_parallel=true";
  return {text, plan};
}

TEST(RandomLayouts, RaiseNoFalseAlarm) {
  const char* asked = std::getenv("LOCKSTEP_RANDOM_RUNS");
  const int runs = asked ? std::atoi(asked) : 20;
  ASSERT_GT(runs, 0);
  const auto folder = OutputFolder("random");
  for (int i = 0; i < runs; ++i) {
    const Drawn run = DrawRun(static_cast<std::uint32_t>(i));
    const auto file = folder / ("workload_" + std::to_string(i) + ".toml");
    std::ofstream(file) << run.workload;
    const auto out = folder / std::to_string(i);
    const Outcome outcome = RunProgram("lockstep", {"conform", "--workload", file, "--plan", run.plan, "--out", out});
    EXPECT_EQ(outcome.exit_code, 0) << "run " << i << ", plan " << run.plan << "\n" << run.workload << outcome.output;
    if (outcome.exit_code == 0) std::filesystem::remove_all(out);
  }
}

}  // namespace
}  // namespace lockstep::conformance
