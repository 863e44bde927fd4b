// Delays made on purpose, as a user makes them, must be charged to the rank and operation that had them.
//
// One run takes many: each delay is of one step, and the steps between them are clean. Sleeping costs no core, so that
// more ranks than cores still tell the truth. What a run reports is held against what was asked for, and nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "harness/protocol/files.h"
#include "suites/conformance/lockstep_command.h"

namespace lockstep::conformance {
namespace {

struct Delay {
  int rank = 0;
  std::string operation;
  int milliseconds = 0;
  int step = 0;
  int sleeps = 1;  // in the step
  double Expected() const { return milliseconds * 1e-3 * sleeps; }
};

struct Plan {
  std::string text;
  int ranks = 1, stages = 1, micro_batches = 1;
};

// Operations of a fraction of a millisecond: a delay of one stands out.
constexpr const char* kWorkload = R"(
[model]
kind = "gpt"
layers = 2
width = 24
heads = 3
vocabulary = 61
sequence = 16
[optimizer]
kind = "sgd"
learning_rate = 0.1
[training]
global_batch = 8
steps = 3
)";

constexpr int kFirstStep = 6;                         // the ones before warm up
constexpr double kRelative = 0.05, kAbsolute = 1e-3;  // of a sleep
constexpr double kRightly = 0.95;

const std::vector<int> kMilliseconds{1, 2, 5, 10, 20, 50, 100, 200};

// `rounds` delays of every rank and operation that the plan has, each in a step of its own, a clean one between two.
std::vector<Delay> DelaysOf(const Plan& plan, int rounds) {
  std::vector<Delay> delays;
  int step = kFirstStep;
  std::size_t size = 0;
  for (int round = 0; round < rounds; ++round) {
    for (const std::string operation : {"F", "B", "send", "data", "optimizer", "host"}) {
      if (operation == "send" && plan.stages == 1) continue;
      for (int rank = 0; rank < plan.ranks; ++rank) {
        const int milliseconds = kMilliseconds[size++ % kMilliseconds.size()];
        const int sleeps = operation == "host" ? 2 * plan.micro_batches : 1;  // before each action
        delays.push_back({rank, operation, milliseconds, step, sleeps});
        step += 2;
      }
    }
    ++size;  // the next round has other sizes
  }
  return delays;
}

std::vector<std::string> Arguments(const std::vector<Delay>& delays, const Plan& plan) {
  std::vector<std::string> arguments;
  for (std::size_t i = 0; i < delays.size(); ++i) {
    const Delay& delay = delays[i];
    std::string text = "rank=" + std::to_string(delay.rank) + ",op=" + delay.operation +
                       ",ms=" + std::to_string(delay.milliseconds) + ",step=" + std::to_string(delay.step);
    const bool of_micro_batch = delay.operation == "F" || delay.operation == "B" || delay.operation == "send";
    if (of_micro_batch) text += ",micro_batch=" + std::to_string(i % static_cast<std::size_t>(plan.micro_batches));
    arguments.insert(arguments.end(), {"--delay", text});
  }
  return arguments;
}

// What a run says that its steps' stragglers were; the one that took longest too long of each step.
class Report {
 public:
  explicit Report(nlohmann::json value) : value_(std::move(value)) {}

  const nlohmann::json* SlowestOf(int step) const {
    const nlohmann::json* slowest = nullptr;
    for (const nlohmann::json& cause : value_.at("causes")) {
      if (cause.at("usual") || cause.at("step") != step || cause.at("category") != "straggler") continue;
      if (slowest == nullptr || cause.at("excess_seconds") > slowest->at("excess_seconds")) slowest = &cause;
    }
    return slowest;
  }

  // The largest difference of a rank's and step's categories to its wall time, and the share that nothing explains.
  double WorstSum() const {
    double worst = 0;
    for (const nlohmann::json& row : value_.at("steps")) {
      double sum = 0;
      for (const auto& [name, seconds] : row.at("seconds").items()) sum += seconds.get<double>();
      const double wall = row.at("wall_seconds");
      worst = std::max(worst, std::abs(sum - wall) / wall);
    }
    return worst;
  }
  double Unattributed() const {
    double wall = 0, unattributed = 0;
    for (const nlohmann::json& row : value_.at("sums")) {
      wall += row.at("wall_seconds").get<double>();
      unattributed += row.at("seconds").at("unattributed").get<double>();
    }
    return unattributed / wall;
  }
  const nlohmann::json& value() const { return value_; }

 private:
  nlohmann::json value_;
};

Report RunWith(const std::string& trainer, const Plan& plan, const std::vector<Delay>& delays,
               const std::filesystem::path& folder) {
  const int steps = delays.back().step + 3;
  protocol::WriteFileWhole(folder / "workload.toml", kWorkload, protocol::Durability::kRenamed);
  std::vector<std::string> arguments{
      "stalls",  "--trainer",           trainer, "--plan", plan.text, "--workload", folder / "workload.toml",
      "--steps", std::to_string(steps), "--out", folder};
  const std::vector<std::string> asked = Arguments(delays, plan);
  arguments.insert(arguments.end(), asked.begin(), asked.end());
  const Outcome run = RunProgram("lockstep", arguments);
  EXPECT_EQ(run.exit_code, 0) << run.output;
  const Outcome report = RunProgram("lockstep", {"stalls", folder, "--json"});
  EXPECT_EQ(report.exit_code, 0) << report.output;
  return Report(nlohmann::json::parse(report.output));
}

// How many of the delays were charged rightly; the others are told.
int Rightly(const Report& report, const std::vector<Delay>& delays, std::string* wrong) {
  int right = 0;
  for (const Delay& delay : delays) {
    const nlohmann::json* cause = report.SlowestOf(delay.step);
    const bool named = cause != nullptr && cause->at("rank") == delay.rank && cause->at("operation") == delay.operation;
    const double charged = named ? cause->at("excess_seconds").get<double>() : 0;
    const double allowed = std::max(kRelative * delay.Expected(), kAbsolute * delay.sleeps);
    if (named && std::abs(charged - delay.Expected()) <= allowed) {
      ++right;
      continue;
    }
    *wrong += "step " + std::to_string(delay.step) + ": rank " + std::to_string(delay.rank) + ", " + delay.operation +
              ", " + std::to_string(delay.Expected() * 1e3) +
              " ms: " + (cause == nullptr ? "nobody was charged" : cause->dump()) + "\n";
  }
  return right;
}

class StallsOfATrainer : public testing::TestWithParam<std::string> {};

TEST_P(StallsOfATrainer, AreChargedToTheRankAndOperationThatWasDelayed) {
  if (MostRanks(GetParam()) < 2) GTEST_SKIP() << "a pipeline needs 2 ranks";
  const bool small = GetParam() != "kokkos";
  std::vector<Plan> plans{{"pp=2,micro_batches=2", 2, 2, 2}};
  if (!small) {
    plans.push_back({"dp=2,micro_batches=2", 2, 1, 2});
    plans.push_back({"dp=2,pp=2,micro_batches=2", 4, 2, 2});
  }
  std::size_t all = 0;
  int right = 0;
  std::string wrong;
  for (const Plan& plan : plans) {
    const std::vector<Delay> delays = DelaysOf(plan, small ? 1 : 2);
    const Report report = RunWith(GetParam(), plan, delays, OutputFolder("stalls_" + GetParam() + "_" + plan.text));
    all += delays.size();
    right += Rightly(report, delays, &wrong);
    EXPECT_LE(report.WorstSum(), 1e-3) << plan.text;
    if (plan.ranks <= 2) {
      EXPECT_LE(report.Unattributed(), 0.02) << plan.text;
    }
  }
  std::printf("%d of %zu delays charged rightly\n%s", right, all, wrong.c_str());
  if (!small) {
    EXPECT_GE(all, 60u);
  }
  EXPECT_GE(static_cast<double>(right), kRightly * static_cast<double>(all)) << wrong;
}

std::string NameOfParameter(const testing::TestParamInfo<std::string>& info) { return TestName(info.param); }

INSTANTIATE_TEST_SUITE_P(Trainers, StallsOfATrainer, testing::ValuesIn(ReferenceTrainers()), NameOfParameter);

}  // namespace
}  // namespace lockstep::conformance
