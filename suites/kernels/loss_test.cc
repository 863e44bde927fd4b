#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

constexpr std::int64_t kShapes[][2] = {{0, 5}, {1, 1}, {3, 7}, {5, 31}, {40, 64}, {67, 257}, {5, 1024}, {2, 8195}};

// Targets over `vocabulary` ids, every third row not valid.
std::vector<std::int32_t> Targets(std::int64_t rows, std::int64_t vocabulary) {
  std::vector<std::int32_t> targets(rows);
  for (std::int64_t i = 0; i < rows; ++i) targets[i] = i % 3 == 2 ? -1 : static_cast<std::int32_t>(i * 7 % vocabulary);
  return targets;
}

// A vocabulary cut into `shards`, each computed by itself and combined as the ranks of a tensor-parallel group do.
void CheckCrossEntropy(std::int64_t rows, std::int64_t vocabulary, std::int64_t shards, float spread) {
  SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(vocabulary) + " ids, " + std::to_string(shards) +
               " shards");
  const auto logits = Random(rows * vocabulary, 1, -spread, spread);
  const auto targets = Targets(rows, vocabulary);
  const float scale = 0.125f;
  const auto got = Repeatable([&](Desk& desk) {
    std::vector<float> row_max(rows, -INFINITY), sum_exp(rows, 0), target_logit(rows, 0), d_logits(rows * vocabulary);
    const std::int32_t* const on_device = desk.In(targets);
    const auto shard = [&](std::int64_t s) {
      const std::int64_t first = s * vocabulary / shards, count = (s + 1) * vocabulary / shards - first;
      std::vector<float> part(rows * count);
      for (std::int64_t i = 0; i < rows * count; ++i) part[i] = logits[i / count * vocabulary + first + i % count];
      return std::tuple(first, count, desk.In(part));
    };
    for (std::int64_t s = 0; s < shards; ++s) {
      const auto [first, count, part] = shard(s);
      float* const maxima = desk.Out(rows);
      desk->RowMax(rows, count, part, maxima);
      const auto mine = desk.Read(maxima, rows);
      for (std::int64_t i = 0; i < rows; ++i) row_max[i] = std::max(row_max[i], mine[i]);
    }
    for (std::int64_t s = 0; s < shards; ++s) {
      const auto [first, count, part] = shard(s);
      float* const sums = desk.Out(rows);
      float* const of_target = desk.Out(rows);
      desk->RowSumExp(rows, count, first, part, desk.In(row_max), on_device, sums, of_target);
      const auto my_sums = desk.Read(sums, rows), my_targets = desk.Read(of_target, rows);
      for (std::int64_t i = 0; i < rows; ++i) sum_exp[i] += my_sums[i], target_logit[i] += my_targets[i];
    }
    float* const losses = desk.Out(rows);
    desk->CrossEntropyLoss(rows, desk.In(row_max), desk.In(sum_exp), desk.In(target_logit), on_device, losses);
    for (std::int64_t s = 0; s < shards; ++s) {
      const auto [first, count, part] = shard(s);
      desk->CrossEntropyBackward(rows, count, first, part, desk.In(row_max), desk.In(sum_exp), on_device, scale);
      const auto mine = desk.Read(part, rows * count);
      for (std::int64_t i = 0; i < rows * count; ++i) d_logits[i / count * vocabulary + first + i % count] = mine[i];
    }
    return Joined({desk.Read(losses, rows), d_logits});
  });
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* const row = logits.data() + i * vocabulary;
    const double largest = *std::max_element(row, row + vocabulary);
    double sum = 0;
    for (std::int64_t j = 0; j < vocabulary; ++j) sum += std::exp(row[j] - largest);
    const bool valid = targets[i] >= 0;
    const double loss = valid ? std::log(sum) + largest - row[targets[i]] : 0;
    ExpectNear(loss, got[i], valid ? 1 + spread : 0, 8, "loss of row " + std::to_string(i));
    for (std::int64_t j = 0; j < vocabulary; ++j) {
      const double p = std::exp(row[j] - largest) / sum;
      ExpectNear(valid ? scale * (p - (j == targets[i])) : 0, got[rows + i * vocabulary + j],
                 valid ? scale * (p * (1 + spread) + (j == targets[i])) : 0, 8,
                 "gradient at row " + std::to_string(i) + ", id " + std::to_string(j));
    }
  }
}

TEST(CrossEntropy, IsThePlainLoopWholeAndInShards) {
  for (const auto& [rows, vocabulary] : kShapes) {
    for (const std::int64_t shards : {1, 2, 3}) {
      if (shards <= vocabulary) CheckCrossEntropy(rows, vocabulary, shards, 4);
    }
  }
}

TEST(CrossEntropy, DoesNotOverflow) { CheckCrossEntropy(31, 67, 2, 300); }

TEST(CrossEntropy, AnEmptyShardAddsNothing) {
  const auto got = Repeatable([](Desk& desk) {
    float* const maxima = desk.Out(3);
    float* const sums = desk.Out(3);
    float* const of_target = desk.Out(3);
    desk->RowMax(3, 0, desk.Out(0), maxima);
    desk->RowSumExp(3, 0, 5, desk.Out(0), desk.In(std::vector<float>{1, 2, 3}),
                    desk.In(std::vector<std::int32_t>{5, -1, 0}), sums, of_target);
    return Joined({desk.Read(maxima, 3), desk.Read(sums, 3), desk.Read(of_target, 3)});
  });
  EXPECT_EQ(got, (std::vector<float>{-INFINITY, -INFINITY, -INFINITY, 0, 0, 0, 0, 0, 0}));
}

TEST(CrossEntropy, OneNaNOfARowMakesItsLossNaN) {
  for (const std::int64_t place : {0, 1, 16, 33, 36}) {
    const auto device = MakeTestDevice();
    Desk desk(*device, 0);
    std::vector<float> logits(37, 1.0f);
    logits[place] = NAN;
    float* const x = desk.In(logits);
    float* const maximum = desk.Out(1);
    desk->RowMax(1, 37, x, maximum);
    EXPECT_TRUE(std::isnan(desk.Read(maximum, 1)[0])) << place;
    float* const sum = desk.In(std::vector<float>{0});
    desk->RowSumExp(1, 37, 0, x, desk.In(std::vector<float>{1}), desk.In(std::vector<std::int32_t>{5}), sum,
                    desk.Out(1));
    EXPECT_TRUE(std::isnan(desk.Read(sum, 1)[0])) << place;
  }
}

TEST(SquaredError, IsThePlainLoopAndLeavesOutRowsThatDoNotCount) {
  for (const auto& [rows, width] : kShapes) {
    const auto y = Random(rows * width, 1), target = Random(rows * width, 2);
    std::vector<float> valid(rows);
    for (std::int64_t i = 0; i < rows; ++i) valid[i] = i % 3 == 1 ? 0.0f : 1.0f;
    const float scale = 1.0f / 3;
    const auto got = Repeatable([&, rows = rows, width = width](Desk& desk) {
      float* const losses = desk.Out(rows);
      float* const d_y = desk.Out(rows * width);
      desk->SquaredError(rows, width, desk.In(y), desk.In(target), desk.In(valid), scale, losses, d_y);
      return Joined({desk.Read(losses, rows), desk.Read(d_y, rows * width)});
    });
    for (std::int64_t i = 0; i < rows; ++i) {
      double loss = 0;
      for (std::int64_t j = 0; j < width; ++j) {
        const double difference = static_cast<double>(y[i * width + j]) - target[i * width + j];
        loss += valid[i] * difference * difference / 2;
        ExpectNear(valid[i] * scale * difference, got[rows + i * width + j], valid[i] * scale * 2, 4, "d_y");
      }
      ExpectNear(loss, got[i], loss, 8 + std::sqrt(static_cast<double>(width)), "loss of row " + std::to_string(i));
    }
  }
}

}  // namespace
}  // namespace lockstep::test
