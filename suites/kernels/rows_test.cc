#include "harness/protocol/dropout.h"
#include "suites/kernels/desk.h"

namespace lockstep::test {
namespace {

constexpr std::int64_t kShapes[][2] = {{0, 5},   {1, 1},     {3, 7},   {5, 31},  {2, 64},
                                       {67, 65}, {130, 129}, {9, 384}, {3, 8192}};

std::string Where(const char* what, std::int64_t i, std::int64_t j) {
  return std::string(what) + " at row " + std::to_string(i) + ", column " + std::to_string(j);
}

struct Row {
  double mean = 0, rstd = 0, largest = 0;
};

Row StatisticsOf(const std::vector<float>& x, std::int64_t width, std::int64_t i) {
  Row row;
  double variance = 0;
  for (std::int64_t j = 0; j < width; ++j) {
    row.mean += x[i * width + j] / static_cast<double>(width);
    row.largest = std::max(row.largest, std::abs(static_cast<double>(x[i * width + j])));
  }
  for (std::int64_t j = 0; j < width; ++j)
    variance += std::pow(x[i * width + j] - row.mean, 2) / static_cast<double>(width);
  row.rstd = 1 / std::sqrt(variance + 1e-5);
  return row;
}

TEST(LayerNorm, ForwardIsThePlainLoop) {
  for (const auto& [rows, width] : kShapes) {
    const auto x = Random(rows * width, 1, -1, 3), weight = Random(width, 2), bias = Random(width, 3);
    const auto got = Repeatable([&, rows = rows, width = width](Desk& desk) {
      float* const y = desk.Out(rows * width);
      float* const mean = desk.Out(rows);
      float* const rstd = desk.Out(rows);
      desk->LayerNormForward(rows, width, desk.In(x), desk.In(weight), desk.In(bias), y, mean, rstd);
      return Joined({desk.Read(y, rows * width), desk.Read(mean, rows), desk.Read(rstd, rows)});
    });
    for (std::int64_t i = 0; i < rows; ++i) {
      const Row row = StatisticsOf(x, width, i);
      ExpectNear(row.mean, got[rows * width + i], row.largest, 8, Where("mean", i, 0));
      // (x - mean)^2 carries the mean's error: relative to the largest, by rstd.
      ExpectNear(row.rstd, got[rows * width + rows + i], row.rstd, 16 * (1 + row.largest * row.rstd),
                 Where("rstd", i, 0));
      for (std::int64_t j = 0; j < width; ++j) {
        const double want = (x[i * width + j] - row.mean) * row.rstd * weight[j] + bias[j];
        ExpectNear(want, got[i * width + j], std::abs(bias[j]) + row.largest * row.rstd * (1 + std::abs(want)), 24,
                   Where("y", i, j));
      }
    }
  }
}

TEST(LayerNorm, BackwardIsThePlainLoopAndAddsToItsWeights) {
  for (const auto& [rows, width] : kShapes) {
    for (const bool accumulate : {false, true}) {
      const auto x = Random(rows * width, 1, -1, 3), weight = Random(width, 2), d_y = Random(rows * width, 4);
      const auto before = Random(rows * width, 5), d_weight = Random(width, 6), d_bias = Random(width, 7);
      std::vector<float> mean(rows), rstd(rows);
      for (std::int64_t i = 0; i < rows; ++i) {
        const Row row = StatisticsOf(x, width, i);
        mean[i] = static_cast<float>(row.mean);
        rstd[i] = static_cast<float>(row.rstd);
      }
      const auto got = Repeatable([&, rows = rows, width = width](Desk& desk) {
        float* const d_x = accumulate ? desk.In(before) : desk.Out(rows * width);
        float* const by_weight = desk.In(d_weight);
        float* const by_bias = desk.In(d_bias);
        desk->LayerNormBackward(rows, width, desk.In(x), desk.In(weight), desk.In(mean), desk.In(rstd), desk.In(d_y),
                                d_x, accumulate, by_weight, by_bias);
        return Joined({desk.Read(d_x, rows * width), desk.Read(by_weight, width), desk.Read(by_bias, width)});
      });
      std::vector<double> want_weight(d_weight.begin(), d_weight.end()), want_bias(d_bias.begin(), d_bias.end());
      for (std::int64_t i = 0; i < rows; ++i) {
        double mean_g = 0, mean_gn = 0, largest = 0;
        const auto n = [&, width = width](std::int64_t j) {
          return (static_cast<double>(x[i * width + j]) - mean[i]) * rstd[i];
        };
        for (std::int64_t j = 0; j < width; ++j) {
          const double g = static_cast<double>(d_y[i * width + j]) * weight[j];
          mean_g += g / static_cast<double>(width);
          mean_gn += g * n(j) / static_cast<double>(width);
          want_weight[j] += d_y[i * width + j] * n(j);
          want_bias[j] += d_y[i * width + j];
          largest = std::max(largest, std::abs(n(j)));
        }
        for (std::int64_t j = 0; j < width; ++j) {
          const double g = static_cast<double>(d_y[i * width + j]) * weight[j];
          const double old = accumulate ? before[i * width + j] : 0;
          ExpectNear(old + rstd[i] * (g - mean_g - n(j) * mean_gn), got[i * width + j],
                     std::abs(old) + rstd[i] * (2 + largest * largest), 16, Where("d_x", i, j));
        }
      }
      for (std::int64_t j = 0; j < width; ++j) {
        const double units = 8 + 2 * std::sqrt(static_cast<double>(rows));
        ExpectNear(want_weight[j], got[rows * width + j], 1 + 2.0 * static_cast<double>(rows), units,
                   Where("d_weight", 0, j));
        ExpectNear(want_bias[j], got[rows * width + width + j], 1 + 0.5 * static_cast<double>(rows), units,
                   Where("d_bias", 0, j));
      }
    }
  }
}

TEST(Bias, IsAddedToEveryRowAndItsGradientIsTheSumOverRows) {
  for (const auto& [rows, width] : kShapes) {
    const auto x = Random(rows * width, 1), bias = Random(width, 2), d_bias = Random(width, 3);
    const auto got = Repeatable([&, rows = rows, width = width](Desk& desk) {
      float* const y = desk.In(x);
      float* const sums = desk.In(d_bias);
      desk->AddBias(rows, width, desk.In(bias), y);
      desk->BiasBackward(rows, width, desk.In(x), sums);
      return Joined({desk.Read(y, rows * width), desk.Read(sums, width)});
    });
    for (std::int64_t j = 0; j < width; ++j) {
      double sum = d_bias[j], magnitude = std::abs(sum);
      for (std::int64_t i = 0; i < rows; ++i) {
        EXPECT_EQ(got[i * width + j], x[i * width + j] + bias[j]);
        sum += x[i * width + j];
        magnitude += std::abs(x[i * width + j]);
      }
      ExpectNear(sum, got[rows * width + j], magnitude, 4 + std::sqrt(static_cast<double>(rows)),
                 Where("d_bias", 0, j));
    }
  }
}

TEST(Dropout, KeepsWhatTheProtocolKeepsAndWorksInPlace) {
  for (const auto& [rows, width] : kShapes) {
    for (const float probability : {0.0f, 0.25f, 0.9f}) {
      const auto x = Random(rows * width, 1, 1, 2);
      std::vector<std::uint64_t> keys(rows);
      for (std::int64_t i = 0; i < rows; ++i) keys[i] = protocol::DropoutRowKey(1, 2, 3, 4, i);
      const auto got = Repeatable([&, rows = rows, width = width](Desk& desk) {
        float* const y = desk.Out(rows * width);
        float* const in_place = desk.In(x);
        const std::uint64_t* const on_device = desk.In(keys);
        desk->Dropout(rows, width, probability, on_device, desk.In(x), y);
        desk->Dropout(rows, width, probability, on_device, in_place, in_place);
        return Joined({desk.Read(y, rows * width), desk.Read(in_place, rows * width)});
      });
      for (std::int64_t i = 0; i < rows * width; ++i) {
        const bool kept = protocol::DropoutUniform(keys[i / width], i % width) >= probability;
        EXPECT_EQ(got[i], kept ? x[i] / (1 - probability) : 0.0f);
        EXPECT_EQ(got[rows * width + i], got[i]);
      }
    }
  }
}

TEST(Embedding, LooksUpAndAddsBackOnlyWhatTheShardHolds) {
  const std::int64_t vocabulary = 23;
  for (const auto& [first, count] : {std::pair<std::int64_t, std::int64_t>{0, vocabulary}, {7, 9}, {5, 0}}) {
    for (const auto& [rows, width] : kShapes) {
      const auto table = Random(count * width, 1), d_y = Random(rows * width, 2), d_before = Random(count * width, 3);
      std::vector<std::int32_t> tokens(rows);
      for (std::int64_t i = 0; i < rows; ++i) tokens[i] = static_cast<std::int32_t>(i * i * 5 % vocabulary);
      const auto got = Repeatable([&, rows = rows, width = width, first = first, count = count](Desk& desk) {
        float* const y = desk.Out(rows * width);
        float* const d_table = desk.In(d_before);
        const std::int32_t* const ids = desk.In(tokens);
        desk->EmbeddingForward(rows, width, ids, first, count, desk.In(table), y);
        desk->EmbeddingBackward(rows, width, ids, first, count, desk.In(d_y), d_table);
        return Joined({desk.Read(y, rows * width), desk.Read(d_table, count * width)});
      });
      std::vector<float> want = d_before;  // in row order, in fp32: to the bit
      for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t at = tokens[i] - first;
        const bool here = at >= 0 && at < count;
        for (std::int64_t j = 0; j < width; ++j) {
          EXPECT_EQ(got[i * width + j], here ? table[at * width + j] : 0.0f);
          if (here) want[at * width + j] += d_y[i * width + j];
        }
      }
      EXPECT_TRUE(std::equal(want.begin(), want.end(), got.begin() + rows * width));
    }
  }
}

}  // namespace
}  // namespace lockstep::test
