// Operations over random shapes against the oracle, by the ratio of numerics: error over the error that the plain loop
// makes in fp32.
#include "harness/oracle/attention.h"
#include "harness/oracle/layers.h"
#include "harness/oracle/losses.h"
#include "suites/kernels/desk.h"
#include "suites/kernels/plain_loops.h"

namespace lockstep::test {
namespace {

constexpr double kTau = 3;  // as in the checks; right kernels stay below 1.5, a wrong term gives 1e3 or more
constexpr int kShapes = 12;

Values<double> Wide(const Values<float>& x) { return {x.begin(), x.end()}; }

double Norm(const Values<double>& x) {
  double sum = 0;
  for (const double value : x) sum += value * value;
  return std::sqrt(sum);
}

Values<double> Minus(const Values<double>& a, const Values<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  Values<double> difference(a);
  for (std::size_t i = 0; i < a.size(); ++i) difference[i] -= b[i];
  return difference;
}

// oracle and the plain loop in double are one; got lies within tau times the plain loop's noise in fp32.
void Compare(const std::string& what, const Values<double>& oracle, const Values<double>& plain64,
             const Values<float>& plain32, const float* got) {
  EXPECT_LE(Norm(Minus(plain64, oracle)), 1e-12 * Norm(oracle) + 1e-14)
      << what << ": the plain loop is not the oracle's";
  const double noise = std::max(Norm(Minus(Wide(plain32), oracle)), kUnit * Norm(oracle));
  const double error = Norm(Minus(Wide(Values<float>(got, got + oracle.size())), oracle));
  EXPECT_TRUE(error <= kTau * noise) << what << ": R = " << error / noise << ", at most " << kTau;
}

oracle::Matrix MatrixOf(std::int64_t rows, std::int64_t cols, const Values<float>& x) {
  oracle::Matrix matrix(rows, cols);
  matrix.values = Wide(x);
  return matrix;
}

// Sizes that are small, on a power of two, beside one, or anything below `most`.
class Sizes {
 public:
  explicit Sizes(unsigned seed) : generator_(seed) {}
  std::int64_t operator()(std::int64_t least, std::int64_t most) {
    const std::int64_t edges[] = {1, 2, 3, 31, 32, 33, 127, 128, 257};
    std::int64_t size = generator_() % 2 == 0 ? edges[generator_() % std::size(edges)]
                                              : static_cast<std::int64_t>(generator_() % most) + 1;
    return std::clamp(size, least, most);
  }

 private:
  std::mt19937 generator_;
};

TEST(AgainstTheOracle, LinearForwardAndBackward) {
  for (unsigned seed = 0; seed < kShapes; ++seed) {
    Sizes sizes(seed);
    const std::int64_t rows = sizes(1, 150), in = sizes(1, 150), out = sizes(1, 150);
    SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(in) + " in, " + std::to_string(out) + " out");
    const auto x = Random(rows * in, seed), w = Random(out * in, seed + 1), b = Random(out, seed + 2);
    const auto d_y = Random(rows * out, seed + 3);
    const auto got = Repeatable([&](Desk& desk) {
      float* const y = desk.Out(rows * out);
      float* const d_x = desk.Out(rows * in);
      float* const d_w = desk.Out(out * in);
      float* const d_b = desk.In(Values<float>(out, 0.0f));
      const float *const input = desk.In(x), *const weight = desk.In(w), *const gradient = desk.In(d_y);
      const device::Matrix weight_as_stored{weight}, weight_transposed{weight, device::Element::kF32, true};
      desk->Multiply({.m = rows,
                      .n = out,
                      .k = in,
                      .a = {input},
                      .b = weight_transposed,
                      .c = y,
                      .epilogue = device::Epilogue::kBias,
                      .bias = desk.In(b)});
      desk->Multiply({.m = rows, .n = in, .k = out, .a = {gradient}, .b = weight_as_stored, .c = d_x});
      desk->Multiply(
          {.m = out, .n = in, .k = rows, .a = {gradient, device::Element::kF32, true}, .b = {input}, .c = d_w});
      desk->BiasBackward(rows, out, gradient, d_b);
      return Joined(
          {desk.Read(y, rows * out), desk.Read(d_x, rows * in), desk.Read(d_w, out * in), desk.Read(d_b, out)});
    });
    Values<double> want_w(out * in), want_b(out);
    const auto want_y = oracle::Linear(MatrixOf(rows, in, x), Wide(w), Wide(b)).values;
    const auto want_x =
        oracle::LinearBackward(MatrixOf(rows, in, x), Wide(w), MatrixOf(rows, out, d_y), want_w, want_b).values;
    const auto in64 = LinearBackward(rows, in, out, Wide(x), Wide(w), Wide(d_y));
    const auto in32 = LinearBackward(rows, in, out, x, w, d_y);
    const float* at = got.data();
    Compare("y", want_y, Linear(rows, in, out, Wide(x), Wide(w), Wide(b)), Linear(rows, in, out, x, w, b), at);
    Compare("d_x", want_x, in64.x, in32.x, at += rows * out);
    Compare("d_w", want_w, in64.w, in32.w, at += rows * in);
    Compare("d_b", want_b, in64.b, in32.b, at += out * in);
  }
}

TEST(AgainstTheOracle, Activations) {
  for (unsigned seed = 0; seed < kShapes; ++seed) {
    const std::int64_t n = Sizes(seed)(1, 5000);
    SCOPED_TRACE(std::to_string(n) + " elements");
    const auto x = Random(n, seed, -4, 4), d_y = Random(n, seed + 1);
    const auto got = Repeatable([&](Desk& desk) {
      float* const out[] = {desk.Out(n), desk.Out(n), desk.Out(n)};
      desk->GeluForward(n, desk.In(x), out[0]);
      desk->GeluBackward(n, desk.In(x), desk.In(d_y), out[1]);
      desk->ReluBackward(n, desk.In(x), desk.In(d_y), out[2]);
      return Joined({desk.Read(out[0], n), desk.Read(out[1], n), desk.Read(out[2], n)});
    });
    const auto run = [&](auto type) {
      using T = decltype(type);
      std::array<Values<T>, 3> results{Values<T>(n), Values<T>(n), Values<T>(n)};
      for (std::int64_t i = 0; i < n; ++i) {
        results[0][i] = GeluOf<T>(x[i]);
        results[1][i] = d_y[i] * GeluSlope<T>(x[i]);
        results[2][i] = x[i] > 0 ? d_y[i] : 0;
      }
      return results;
    };
    using protocol::Activation;
    const auto matrix = MatrixOf(1, n, x), gradient = MatrixOf(1, n, d_y);
    const auto in64 = run(0.0);
    const auto in32 = run(0.0f);
    Compare("gelu", oracle::Activate(Activation::kGelu, matrix).values, in64[0], in32[0], got.data());
    Compare("gelu backward", oracle::ActivateBackward(Activation::kGelu, matrix, gradient).values, in64[1], in32[1],
            got.data() + n);
    Compare("relu backward", oracle::ActivateBackward(Activation::kRelu, matrix, gradient).values, in64[2], in32[2],
            got.data() + 2 * n);
  }
}

TEST(AgainstTheOracle, LayerNormForwardAndBackward) {
  for (unsigned seed = 0; seed < kShapes; ++seed) {
    Sizes sizes(seed);
    const std::int64_t rows = sizes(1, 100), width = sizes(5, 400);  // narrower: d_x is what cancellation leaves
    SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(width));
    const auto x = Random(rows * width, seed), weight = Random(width, seed + 1), bias = Random(width, seed + 2);
    const auto d_y = Random(rows * width, seed + 3);
    const auto got = Repeatable([&](Desk& desk) {
      float* const y = desk.Out(rows * width);
      float* const d_x = desk.Out(rows * width);
      float* const sums[] = {desk.In(Values<float>(width, 0.0f)), desk.In(Values<float>(width, 0.0f))};
      float* const mean = desk.Out(rows);
      float* const rstd = desk.Out(rows);
      const float *const input = desk.In(x), *const scale = desk.In(weight);
      desk->LayerNormForward(rows, width, input, scale, desk.In(bias), y, mean, rstd);
      desk->LayerNormBackward(rows, width, input, scale, mean, rstd, desk.In(d_y), d_x, false, sums[0], sums[1]);
      return Joined({desk.Read(y, rows * width), desk.Read(d_x, rows * width), desk.Read(sums[0], width),
                     desk.Read(sums[1], width)});
    });
    const auto run = [&](auto type) {
      using T = decltype(type);
      const Values<T> input(x.begin(), x.end()), scale(weight.begin(), weight.end()), shift(bias.begin(), bias.end());
      const auto kept = LayerNorm<T>(rows, width, input, scale, shift);
      return std::pair(kept, LayerNormBackward<T>(rows, width, input, scale, kept, Values<T>(d_y.begin(), d_y.end())));
    };
    Values<double> want_weight(width), want_bias(width);
    const auto matrix = MatrixOf(rows, width, x);
    const auto want_y = oracle::LayerNorm(matrix, Wide(weight), Wide(bias)).values;
    const auto want_x =
        oracle::LayerNormBackward(matrix, Wide(weight), MatrixOf(rows, width, d_y), want_weight, want_bias).values;
    const auto in64 = run(0.0);
    const auto in32 = run(0.0f);
    const float* at = got.data();
    Compare("y", want_y, in64.first.y, in32.first.y, at);
    Compare("d_x", want_x, in64.second.x, in32.second.x, at += rows * width);
    Compare("d_weight", want_weight, in64.second.weight, in32.second.weight, at += rows * width);
    Compare("d_bias", want_bias, in64.second.bias, in32.second.bias, at += width);
  }
}

TEST(AgainstTheOracle, AttentionForwardAndBackward) {
  for (unsigned seed = 0; seed < kShapes; ++seed) {
    Sizes sizes(seed);
    const std::int64_t length = sizes(1, 70), heads = sizes(1, 3), width = sizes(1, 20);
    SCOPED_TRACE(std::to_string(length) + " positions, " + std::to_string(heads) + " heads of " +
                 std::to_string(width));
    const std::int64_t n = length * heads * width;
    const auto qkv = Random(3 * n, seed, -2, 2), d_out = Random(n, seed + 1);
    const auto got = Repeatable([&](Desk& desk) {
      const device::AttentionShape shape{1, length, heads, width};
      float* const out = desk.Out(n);
      float* const d_qkv = desk.Out(3 * n);
      float* const saved = desk.Out(desk->AttentionSaved(shape));
      const float* const input = desk.In(qkv);
      desk->AttentionForward(shape, device::Element::kF32, input, out, saved);
      desk->AttentionBackward(shape, device::Element::kF32, input, out, saved, desk.In(d_out), d_qkv);
      return Joined({desk.Read(out, n), desk.Read(d_qkv, 3 * n)});
    });
    const auto matrix = MatrixOf(length, 3 * heads * width, qkv);
    const auto in64 = Attention(length, heads, width, Wide(qkv), Wide(d_out));
    const auto in32 = Attention(length, heads, width, qkv, d_out);
    Compare("out", oracle::Attention(matrix, heads).values, in64.out, in32.out, got.data());
    Compare("d_qkv", oracle::AttentionBackward(matrix, heads, MatrixOf(length, heads * width, d_out)).values,
            in64.d_qkv, in32.d_qkv, got.data() + n);
  }
}

TEST(AgainstTheOracle, CrossEntropy) {
  for (unsigned seed = 0; seed < kShapes; ++seed) {
    Sizes sizes(seed);
    const std::int64_t rows = sizes(1, 60), count = sizes(2, 600);
    SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(count));
    const auto z = Random(rows * count, seed, -5, 5);
    Values<std::int32_t> targets(rows);
    for (std::int64_t i = 0; i < rows; ++i) targets[i] = static_cast<std::int32_t>(i % 4 == 3 ? -1 : i * 13 % count);
    const auto got = Repeatable([&](Desk& desk) {
      float* const row[] = {desk.Out(rows), desk.Out(rows), desk.Out(rows), desk.Out(rows)};
      float* const logits = desk.In(z);
      const std::int32_t* const ids = desk.In(targets);
      desk->RowMax(rows, count, logits, row[0]);
      desk->RowSumExp(rows, count, 0, logits, row[0], ids, row[1], row[2]);
      desk->CrossEntropyLoss(rows, row[0], row[1], row[2], ids, row[3]);
      desk->CrossEntropyBackward(rows, count, 0, logits, row[0], row[1], ids, 1.0f);
      return Joined({desk.Read(row[3], rows), desk.Read(logits, rows * count)});
    });
    oracle::Matrix d_z(rows, count);
    Values<double> losses(rows);
    for (std::int64_t i = 0; i < rows; ++i) {
      if (targets[i] >= 0) losses[i] = oracle::CrossEntropy(MatrixOf(rows, count, z), i, targets[i], d_z);
    }
    const auto in64 = CrossEntropy(rows, count, Wide(z), targets);
    const auto in32 = CrossEntropy(rows, count, z, targets);
    Compare("losses", losses, in64.losses, in32.losses, got.data());
    Compare("d_logits", d_z.values, in64.gradient, in32.gradient, got.data() + rows);
  }
}

}  // namespace
}  // namespace lockstep::test
