#include "harness/oracle/layers.h"

#include <cmath>
#include <numbers>

#include "harness/protocol/dropout.h"

namespace lockstep::oracle {
namespace {

constexpr double kLayerNormEpsilon = 1e-5;

struct RowStatistics {
  double mean = 0, inverse_deviation = 0;  // 1 / sqrt(variance + epsilon)
};

RowStatistics StatisticsOf(const Matrix& x, std::int64_t row) {
  double sum = 0;
  for (std::int64_t c = 0; c < x.cols; ++c) sum += x(row, c);
  const double mean = sum / static_cast<double>(x.cols);
  double squares = 0;
  for (std::int64_t c = 0; c < x.cols; ++c) squares += (x(row, c) - mean) * (x(row, c) - mean);
  return {mean, 1.0 / std::sqrt(squares / static_cast<double>(x.cols) + kLayerNormEpsilon)};
}

double Gelu(double x) { return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x))); }

double GeluSlope(double x) {
  const double scale = std::sqrt(2 / std::numbers::pi);
  const double t = std::tanh(scale * (x + 0.044715 * x * x * x));
  return (1 + t) / 2 + x / 2 * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x);
}

}  // namespace

void AddTo(Matrix& sum, const Matrix& term) {
  for (std::size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += term.values[i];
}

Matrix Product(const Matrix& x, const std::vector<double>& weight) {
  const std::int64_t in = x.cols, out = static_cast<std::int64_t>(weight.size()) / in;
  Matrix y(x.rows, out);
  for (std::int64_t n = 0; n < x.rows; ++n) {
    for (std::int64_t o = 0; o < out; ++o) {
      double sum = 0;
      for (std::int64_t i = 0; i < in; ++i) sum += x(n, i) * weight[static_cast<std::size_t>(o * in + i)];
      y(n, o) = sum;
    }
  }
  return y;
}

Matrix ProductBackward(const Matrix& x, const std::vector<double>& weight, const Matrix& dy,
                       std::vector<double>& d_weight) {
  const std::int64_t in = x.cols, out = dy.cols;
  Matrix dx(x.rows, in);
  for (std::int64_t n = 0; n < x.rows; ++n) {
    for (std::int64_t o = 0; o < out; ++o) {
      const std::size_t row = static_cast<std::size_t>(o * in);
      for (std::int64_t i = 0; i < in; ++i) {
        dx(n, i) += dy(n, o) * weight[row + static_cast<std::size_t>(i)];
        d_weight[row + static_cast<std::size_t>(i)] += dy(n, o) * x(n, i);
      }
    }
  }
  return dx;
}

Matrix Linear(const Matrix& x, const std::vector<double>& weight, const std::vector<double>& bias) {
  Matrix y = Product(x, weight);
  for (std::int64_t n = 0; n < y.rows; ++n) {
    for (std::int64_t o = 0; o < y.cols; ++o) y(n, o) += bias[static_cast<std::size_t>(o)];
  }
  return y;
}

Matrix LinearBackward(const Matrix& x, const std::vector<double>& weight, const Matrix& dy,
                      std::vector<double>& d_weight, std::vector<double>& d_bias) {
  for (std::int64_t n = 0; n < dy.rows; ++n) {
    for (std::int64_t o = 0; o < dy.cols; ++o) d_bias[static_cast<std::size_t>(o)] += dy(n, o);
  }
  return ProductBackward(x, weight, dy, d_weight);
}

Matrix LayerNorm(const Matrix& x, const std::vector<double>& weight, const std::vector<double>& bias) {
  Matrix y(x.rows, x.cols);
  for (std::int64_t n = 0; n < x.rows; ++n) {
    const auto [mean, inverse_deviation] = StatisticsOf(x, n);
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const std::size_t i = static_cast<std::size_t>(c);
      y(n, c) = (x(n, c) - mean) * inverse_deviation * weight[i] + bias[i];
    }
  }
  return y;
}

// With z = (x - mean) / deviation and dz = dy weight:  dx = (dz - mean(dz) - z mean(dz z)) / deviation.
Matrix LayerNormBackward(const Matrix& x, const std::vector<double>& weight, const Matrix& dy,
                         std::vector<double>& d_weight, std::vector<double>& d_bias) {
  Matrix dx(x.rows, x.cols);
  for (std::int64_t n = 0; n < x.rows; ++n) {
    const auto [mean, inverse_deviation] = StatisticsOf(x, n);
    double mean_dz = 0, mean_dz_z = 0;
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const std::size_t i = static_cast<std::size_t>(c);
      const double z = (x(n, c) - mean) * inverse_deviation;
      d_weight[i] += dy(n, c) * z;
      d_bias[i] += dy(n, c);
      mean_dz += dy(n, c) * weight[i];
      mean_dz_z += dy(n, c) * weight[i] * z;
    }
    mean_dz /= static_cast<double>(x.cols);
    mean_dz_z /= static_cast<double>(x.cols);
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const double z = (x(n, c) - mean) * inverse_deviation;
      dx(n, c) = (dy(n, c) * weight[static_cast<std::size_t>(c)] - mean_dz - z * mean_dz_z) * inverse_deviation;
    }
  }
  return dx;
}

Matrix Activate(protocol::Activation kind, const Matrix& x) {
  Matrix y(x.rows, x.cols);
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    const double value = x.values[i];
    // Written so that NaN stays NaN: max(NaN, 0) would turn it into 0 and hide it.
    y.values[i] = kind == protocol::Activation::kGelu ? Gelu(value) : value <= 0 ? 0.0 : value;
  }
  return y;
}

Matrix ActivateBackward(protocol::Activation kind, const Matrix& x, const Matrix& dy) {
  Matrix dx(x.rows, x.cols);
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    const double value = x.values[i];
    dx.values[i] = kind == protocol::Activation::kGelu ? dy.values[i] * GeluSlope(value)
                   : value <= 0                        ? 0.0
                                                       : dy.values[i];
  }
  return dx;
}

void Dropout(const DropoutMask& mask, Matrix& x) {
  if (mask.probability <= 0) return;
  for (std::int64_t n = 0; n < x.rows; ++n) {
    const std::uint64_t row =
        protocol::DropoutRowKey(mask.seed, mask.step, mask.sample, mask.site, static_cast<std::uint64_t>(n));
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const bool kept = protocol::DropoutUniform(row, static_cast<std::uint64_t>(c)) >=
                        static_cast<float>(mask.probability);  // fp32 in every precision: one mask for all
      x(n, c) = kept ? x(n, c) / (1 - mask.probability) : 0.0;
    }
  }
}

}  // namespace lockstep::oracle
