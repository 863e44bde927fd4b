// Seeded parameters and data.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/inputs/generator.h"
#include "harness/inputs/make.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/parameters.h"

namespace lockstep::inputs {
namespace {

using protocol::Inputs;
using protocol::Tensor;
using protocol::Workload;

Workload Gpt() {
  Workload workload;
  workload.model = {.kind = protocol::ModelKind::kGpt,
                    .layers = 2,
                    .width = 12,
                    .heads = 3,
                    .mlp_width = 29,
                    .vocabulary = 61,
                    .sequence = 16,
                    .tied = false};
  workload.global_batch = 8;
  workload.steps = 3;
  return workload;
}

Workload Mlp() {
  Workload workload;
  workload.model.sizes = {5, 7, 3};
  workload.global_batch = 8;
  workload.steps = 3;
  return workload;
}

std::vector<std::vector<std::int64_t>> Rows(const Inputs& made) {
  std::vector<std::vector<std::int64_t>> rows;
  const Tensor& order = made.data.at("order");
  for (std::int64_t s = 1; s <= order.shape.at(0); ++s) rows.push_back(protocol::BatchSamples(order, s));
  return rows;
}

// Valid targets of one sample, by what PROTOCOL.md says of each data set.
std::int64_t Valid(const Inputs& made, std::int64_t id) {
  if (made.data.contains("valid")) return made.data.at("valid").As<std::uint8_t>()[static_cast<std::size_t>(id)];
  const Tensor& targets = made.data.at("targets");
  const std::int64_t width = targets.size() / targets.shape[0];
  const auto row =
      targets.As<std::int32_t>().subspan(static_cast<std::size_t>(id * width), static_cast<std::size_t>(width));
  return std::ranges::count_if(row, [](std::int32_t target) { return target >= 0; });
}

std::int64_t ValidOfRun(const Inputs& made, const std::vector<std::int64_t>& batch, protocol::Run run) {
  std::int64_t sum = 0;
  for (std::int64_t i = run.begin; i < run.begin + run.size; ++i)
    sum += Valid(made, batch[static_cast<std::size_t>(i)]);
  return sum;
}

TEST(Generator, GivesTheSameNumbersEverywhere) {
  // Worked apart from this code with Python's integers: splitmix64 from Absorb(Mix64(7), 'a').
  Generator random(7, "a");
  EXPECT_EQ(random.Next(), 0x2aab3c6ed48fc596ull);
  EXPECT_EQ(random.Next(), 0x384a3805751c5fa5ull);
}

TEST(Generator, IsNormalInItsFirstMoments) {
  Generator random(1, "moments");
  double sum = 0, squares = 0, fourth = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random.Normal();
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.03);
  EXPECT_NEAR(squares / kDraws, 1, 0.05);
  EXPECT_NEAR(fourth / kDraws, 2.9, 0.2);  // Irwin-Hall of twelve: 3 - 6/60
}

TEST(Generator, PermutesEveryNumberOnce) {
  const std::vector<std::int64_t> order = Generator(3, "x").Permutation(50);
  EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 50u);
  EXPECT_FALSE(std::ranges::is_sorted(order));
}

TEST(Seeded, IsAFunctionOfTheSeed) {
  Workload workload = Gpt();
  const Inputs made = Make(workload);
  EXPECT_EQ(protocol::HashInputs(made), protocol::HashInputs(Make(workload)));
  workload.seed = 2;
  EXPECT_NE(protocol::HashInputs(made), protocol::HashInputs(Make(workload)));
}

TEST(Seeded, PassesTheProtocolsOwnChecks) {
  for (Workload workload : {Gpt(), Mlp()}) {
    for (const bool uneven : {false, true}) {
      workload.data.uneven = uneven;
      EXPECT_NO_THROW(protocol::ValidateInputs(Make(workload), workload, "made"));
      workload.model.loss = protocol::LossKind::kCrossEntropy;
      EXPECT_NO_THROW(protocol::ValidateInputs(Make(workload), workload, "made"));
    }
  }
}

TEST(Seeded, LeavesNoParameterAtZeroOrOne) {
  for (const Workload& workload : {Gpt(), Mlp()}) {
    const Inputs made = Make(workload);
    for (const protocol::Parameter& parameter : protocol::Parameters(workload.model)) {
      const std::vector<double> values = made.parameters.at(parameter.name).ToDoubles();
      EXPECT_EQ(made.parameters.at(parameter.name).shape, parameter.shape);
      for (const double value : values) {
        EXPECT_TRUE(value != 0 && value != 1) << parameter.name;
        EXPECT_LE(std::abs(value), parameter.name.ends_with("bias") ? 0.6 : 2.5) << parameter.name;
      }
    }
    if (workload.model.kind == protocol::ModelKind::kGpt) {
      for (const double value : made.parameters.at("h.1.ln_2.weight").ToDoubles()) EXPECT_NEAR(value, 1, 0.2);
    }
  }
}

TEST(Seeded, ScalesWeightsByTheirFanIn) {
  const Inputs made = Make(Gpt());
  const auto deviation = [&](const char* name) {
    double squares = 0;
    const std::vector<double> values = made.parameters.at(name).ToDoubles();
    for (const double value : values) squares += value * value;
    return std::sqrt(squares / static_cast<double>(values.size()));
  };
  EXPECT_NEAR(deviation("h.0.attn.qkv.weight"), 0.8 / std::sqrt(12.0), 0.05);
  EXPECT_NEAR(deviation("h.0.attn.proj.weight"), 0.8 / std::sqrt(12.0), 0.05);
  EXPECT_NEAR(deviation("h.0.mlp.proj.weight"), 0.8 / std::sqrt(29.0), 0.03);
}

TEST(Seeded, IsExactInThePrecisionOfTheTrainer) {
  for (Workload workload : {Gpt(), Mlp()}) {
    for (const auto precision : {protocol::Precision::kF32, protocol::Precision::kBF16}) {
      workload.precision = precision;
      const Inputs made = Make(workload);
      auto tensors = made.parameters;
      tensors.insert(made.data.begin(), made.data.end());
      for (const auto& [name, tensor] : tensors) {
        if (tensor.dtype != protocol::DType::kF64) continue;
        for (const double value : tensor.ToDoubles()) {
          const float single = static_cast<float>(value);
          const float rounded = precision == protocol::Precision::kF32
                                    ? single
                                    : protocol::BFloat16ToFloat(protocol::FloatToBFloat16(single));
          ASSERT_EQ(value, rounded) << name;
        }
      }
    }
  }
}

TEST(Seeded, TargetsAreTheNextTokens) {
  const Inputs made = Make(Gpt());
  const auto inputs = made.data.at("inputs").As<std::int32_t>(), targets = made.data.at("targets").As<std::int32_t>();
  for (std::size_t i = 0; i + 1 < inputs.size(); ++i) {
    EXPECT_TRUE(i % 16 == 15 || targets[i] == inputs[i + 1]) << i;
  }
  const std::set<std::int32_t> seen(inputs.begin(), inputs.end());
  EXPECT_GT(seen.size(), 50u);  // of 61, in 384 tokens
  EXPECT_TRUE(*seen.begin() >= 0 && *seen.rbegin() < 61);
}

TEST(Order, TakesEverySampleOnceAndNotInOrder) {
  const auto rows = Rows(Make(Gpt()));
  std::vector<std::int64_t> ids;
  for (const auto& row : rows) ids.insert(ids.end(), row.begin(), row.end());
  ASSERT_EQ(ids.size(), 24u);
  EXPECT_FALSE(std::ranges::is_sorted(ids));
  std::ranges::sort(ids);
  for (std::int64_t i = 0; i < 24; ++i) EXPECT_EQ(ids[static_cast<std::size_t>(i)], i);
}

TEST(Order, OfEpochsKeepsTheTailAsASmallerBatch) {
  Workload workload = Gpt();
  workload.data.samples = 19;
  workload.data.epochs = true;
  workload.steps = 7;
  const Inputs made = Make(workload);
  EXPECT_EQ(made.data.at("inputs").shape, (protocol::Shape{19, 16}));
  EXPECT_NO_THROW(protocol::ValidateInputs(made, workload, "made"));
  const auto rows = Rows(made);
  const std::size_t sizes[] = {8, 8, 3, 8, 8, 3, 8};
  std::vector<std::int64_t> first, second;
  for (std::size_t s = 0; s < rows.size(); ++s) {
    EXPECT_EQ(rows[s].size(), sizes[s]);
    if (s < 3) first.insert(first.end(), rows[s].begin(), rows[s].end());
    if (s >= 3 && s < 6) second.insert(second.end(), rows[s].begin(), rows[s].end());
  }
  EXPECT_NE(first, second);
  EXPECT_EQ(std::set<std::int64_t>(first.begin(), first.end()).size(), 19u);
  EXPECT_EQ(std::set<std::int64_t>(second.begin(), second.end()).size(), 19u);
}

TEST(Order, WithoutEpochsMakesFullBatchesOnly) {
  Workload workload = Gpt();
  workload.data.samples = 19;
  workload.steps = 5;
  for (const auto& row : Rows(Make(workload))) {
    EXPECT_EQ(std::set<std::int64_t>(row.begin(), row.end()).size(), 8u);
  }
}

TEST(Order, RefusesFewerSamplesThanABatch) {
  Workload workload = Gpt();
  workload.data.samples = 7;
  EXPECT_THROW(Make(workload), protocol::BadInput);
  workload.data.epochs = true;
  EXPECT_EQ(Rows(Make(workload))[0].size(), 7u);
}

TEST(Uneven, MasksAnotherShareOfEachSample) {
  Workload workload = Gpt();
  workload.data.uneven = true;
  const Inputs made = Make(workload);
  std::set<std::int64_t> totals;
  for (const auto& batch : Rows(made)) {
    std::multiset<std::int64_t> counts;
    for (const std::int64_t id : batch) counts.insert(Valid(made, id));
    EXPECT_EQ(*counts.begin(), 1);
    EXPECT_EQ(*counts.rbegin(), 16);
    EXPECT_EQ(std::set<std::int64_t>(counts.begin(), counts.end()).size(), 8u);
    totals.insert(ValidOfRun(made, batch, {0, 8}));
  }
  EXPECT_EQ(totals.size(), 3u);  // N of an earlier step is no other step's
}

TEST(Uneven, MasksBothEndAndMiddle) {
  Workload workload = Gpt();
  workload.data.uneven = true;
  const Inputs made = Make(workload);
  const auto targets = made.data.at("targets").As<std::int32_t>();
  int ends = 0, holes = 0;
  for (std::size_t n = 0; n < 24; ++n) {
    const auto row = targets.subspan(n * 16, 16);
    ends += row[15] < 0 ? 1 : 0;
    const auto last = std::find_if(row.rbegin(), row.rend(), [](std::int32_t t) { return t >= 0; });
    holes += std::find_if(last, row.rend(), [](std::int32_t t) { return t < 0; }) != row.rend() ? 1 : 0;
  }
  EXPECT_GE(ends, 12);
  EXPECT_GE(holes, 8);
}

TEST(Uneven, GivesNoTwoReplicasOrMicroBatchesTheSameTotal) {
  for (const std::int64_t batch_size : {5, 7, 8, 12, 16}) {
    Workload workload = Gpt();
    workload.data.uneven = true;
    workload.global_batch = batch_size;
    const Inputs made = Make(workload);
    for (const auto& batch : Rows(made)) {
      for (const std::int64_t parts : {2, 3, 4, 5, 8}) {
        if (parts > batch_size) continue;
        std::set<std::int64_t> totals;
        for (std::int64_t i = 0; i < parts; ++i) {
          totals.insert(ValidOfRun(made, batch, protocol::Split(batch_size, parts, i)));
        }
        EXPECT_EQ(totals.size(), static_cast<std::size_t>(parts)) << batch_size << " over " << parts;
      }
    }
  }
}

TEST(Uneven, LeavesOutSomeSamplesOfAnMlp) {
  for (const auto loss : {protocol::LossKind::kSquaredError, protocol::LossKind::kCrossEntropy}) {
    for (const std::int64_t batch_size : {2, 5, 7, 8, 12, 16}) {
      Workload workload = Mlp();
      workload.model.loss = loss;
      workload.data.uneven = true;
      workload.global_batch = batch_size;
      const Inputs made = Make(workload);
      for (const auto& batch : Rows(made)) {
        const std::int64_t all = ValidOfRun(made, batch, {0, batch_size});
        const std::int64_t first = ValidOfRun(made, batch, protocol::Split(batch_size, 2, 0));
        EXPECT_GT(all, batch_size / 3);
        EXPECT_LT(all, batch_size);
        EXPECT_GT(first, all - first) << "replicas that would hide a mean of means";
      }
    }
  }
}

TEST(OwnModel, GetsAnOrderAndNothingElse) {
  Workload workload = Mlp();
  workload.model = {};
  workload.model.kind = protocol::ModelKind::kOwn;
  workload.model.own_name = "resnet";
  const Inputs made = Make(workload);
  EXPECT_TRUE(made.parameters.empty());
  EXPECT_EQ(made.data.size(), 1u);
  EXPECT_EQ(made.data.at("order").shape, (protocol::Shape{3, 8}));
}

}  // namespace
}  // namespace lockstep::inputs
