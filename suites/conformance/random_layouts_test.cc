// Right runs over random workloads and layouts, on every reference trainer: not one may be called wrong, and every
// check must have compared something. 20 by default on Kokkos, half as many on the others, whose devices are slower;
// LOCKSTEP_RANDOM_RUNS=200 for the nightly run. Each is drawn from its number alone, so a failing one can be run again
// by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>

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

constexpr std::int64_t kMostRanks = 8;

struct Schedule {
  std::string name;
  int min_chunks = 1, max_chunks = 1;
};

// Every schedule that can be asked for, 1f1b first: what a single stage has.
std::vector<Schedule> Schedules() {
  const Outcome outcome = RunProgram("lockstep", {"list", "schedules", "--json"});
  std::vector<Schedule> schedules;
  for (const auto& row : nlohmann::json::parse(outcome.output)) {
    schedules.push_back({row.at("name"), row.at("min_chunks"), row.at("max_chunks")});
  }
  const auto first = std::find_if(schedules.begin(), schedules.end(), [](auto& each) { return each.name == "1f1b"; });
  if (first == schedules.end()) throw std::runtime_error("lockstep list schedules does not name 1f1b");
  std::iter_swap(schedules.begin(), first);
  return schedules;
}

struct Pipeline {
  std::string schedule;
  int ranks = 1, chunks = 1, micro_batches = 1;
};

// A shape that the schedule can lay out, as `lockstep schedule verify` says.
Pipeline DrawPipeline(Draw& draw, const Schedule& schedule, int most_ranks) {
  for (int i = 0; i < 1000; ++i) {
    const Pipeline drawn{schedule.name, draw.Between(2, most_ranks),
                         draw.Between(schedule.min_chunks, std::min(schedule.max_chunks, schedule.min_chunks + 1)),
                         draw.Between(1, 8)};
    const Outcome laid_out =
        RunProgram("lockstep", {"schedule", "verify", drawn.schedule, "-p", std::to_string(drawn.ranks), "-v",
                                std::to_string(drawn.chunks), "-m", std::to_string(drawn.micro_batches)});
    if (laid_out.exit_code == 0) return drawn;
  }
  throw std::runtime_error("no shape was drawn that " + schedule.name + " can lay out");
}

struct Drawn {
  std::string workload, plan, schedule;
};

Drawn DrawRun(std::uint32_t seed, const std::vector<Schedule>& schedules, int most_ranks) {
  Draw draw(seed);
  const auto count = static_cast<std::uint32_t>(schedules.size());
  const int tensor = std::min(most_ranks, draw.OneOf<int>({1, 1, 2, 3}));
  // Schedules by turns, and a single stage every third time, at another schedule's turn in each round.
  Pipeline pipe{schedules.front().name, 1, 1, draw.Between(1, 4)};
  if ((seed + seed / count) % 3 != 2 && most_ranks / tensor > 1) {
    pipe = DrawPipeline(draw, schedules[seed % count], std::min(4, most_ranks / tensor));
  }
  const int pipeline = pipe.ranks, chunks = pipe.chunks, micro = pipe.micro_batches;
  const int data = draw.Between(1, std::min(4, most_ranks / (tensor * pipeline)));
  const int batch = data * micro + draw.Between(0, 5);
  const int heads = tensor + draw.Between(0, 2), width = heads * draw.OneOf<int>({4, 5, 7, 8});
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
                     ",chunks=" + std::to_string(chunks) + ",schedule=" + pipe.schedule;
  if (gpt && tensor > 1 && draw.Between(0, 1) == 1) plan += ",sequence_parallel=true";
  return {text, plan, pipeline > 1 ? pipe.schedule : ""};
}

void ExpectEveryCheckToHold(const std::filesystem::path& folder, const std::string& run) {
  const protocol::Record record = ReadRecord(folder);
  ASSERT_EQ(record.cases.size(), 1u) << run;
  EXPECT_TRUE(record.complete) << run;
  const protocol::CaseResult& result = record.cases[0];
  EXPECT_EQ(result.status, protocol::Status::kPass) << run << result.reason;
  std::set<std::string> names;
  for (const protocol::CheckResult& check : result.checks) {
    names.insert(check.check);
    EXPECT_EQ(check.status, protocol::Status::kPass) << run << check.check << ": " << check.diagnosis;
    EXPECT_GT(check.compared, 0) << run << check.check;
  }
  for (const char* name : {"effective_plan", "ledger", "noise_ratio"}) EXPECT_TRUE(names.contains(name)) << run << name;
}

class RandomLayouts : public testing::TestWithParam<std::string> {};

TEST_P(RandomLayouts, RaiseNoFalseAlarm) {
  const std::string& trainer = GetParam();
  const auto runs =
      static_cast<int>(CountAskedFor("LOCKSTEP_RANDOM_RUNS").value_or(20) / (trainer == "kokkos" ? 1 : 2));
  ASSERT_GT(runs, 0);
  const std::vector<Schedule> schedules = Schedules();
  const int most_ranks = static_cast<int>(std::min(kMostRanks, MostRanks(trainer)));
  const auto folder = OutputFolder("random_" + trainer);
  std::set<std::string> drawn;
  for (int i = 0; i < runs; ++i) {
    const Drawn run = DrawRun(static_cast<std::uint32_t>(i), schedules, most_ranks);
    if (!run.schedule.empty()) drawn.insert(run.schedule);
    const auto file = folder / ("workload_" + std::to_string(i) + ".toml");
    std::ofstream(file) << run.workload;
    const auto out = folder / std::to_string(i);
    const Outcome outcome =
        RunProgram("lockstep", {"conform", "--trainer", trainer, "--workload", file, "--plan", run.plan, "--out", out});
    const std::string words = "run " + std::to_string(i) + ", plan " + run.plan + "\n" + run.workload;
    EXPECT_EQ(outcome.exit_code, 0) << words << outcome.output;
    if (outcome.exit_code != 0) continue;
    ExpectEveryCheckToHold(out, words);
    std::filesystem::remove_all(out);
  }
  if (runs >= 2 * static_cast<int>(schedules.size()) && most_ranks == kMostRanks) {
    EXPECT_EQ(drawn.size(), schedules.size()) << "not every schedule was drawn: " << testing::PrintToString(drawn);
  }
}

std::string NameOfParameter(const testing::TestParamInfo<std::string>& info) { return TestName(info.param); }

INSTANTIATE_TEST_SUITE_P(Conformance, RandomLayouts, testing::ValuesIn(ReferenceTrainers()), NameOfParameter);

}  // namespace
}  // namespace lockstep::conformance
