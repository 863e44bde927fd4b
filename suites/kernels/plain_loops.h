// The plain loops of device.h in any floating type: in fp32 they are the noise that a kernel is measured against.
//
// Sums run in the order of the loops. In double they must agree with the oracle, which oracle_test.cc demands first.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace lockstep::test {

template <typename T>
using Values = std::vector<T>;

// y = x w^T + b; x (rows, in), w (out, in)
template <typename T>
Values<T> Linear(std::int64_t rows, std::int64_t in, std::int64_t out, const Values<T>& x, const Values<T>& w,
                 const Values<T>& b) {
  Values<T> y(rows * out);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t o = 0; o < out; ++o) {
      T sum = 0;
      for (std::int64_t k = 0; k < in; ++k) sum += x[i * in + k] * w[o * in + k];
      y[i * out + o] = sum + b[o];
    }
  }
  return y;
}

template <typename T>
struct LinearGradients {
  Values<T> x, w, b;
};

template <typename T>
LinearGradients<T> LinearBackward(std::int64_t rows, std::int64_t in, std::int64_t out, const Values<T>& x,
                                  const Values<T>& w, const Values<T>& d_y) {
  LinearGradients<T> d{Values<T>(rows * in), Values<T>(out * in), Values<T>(out)};
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t o = 0; o < out; ++o) {
      const T gradient = d_y[i * out + o];
      for (std::int64_t k = 0; k < in; ++k) {
        d.x[i * in + k] += gradient * w[o * in + k];
        d.w[o * in + k] += gradient * x[i * in + k];
      }
      d.b[o] += gradient;
    }
  }
  return d;
}

template <typename T>
T GeluOf(T x) {
  return x / 2 * (1 + std::tanh(static_cast<T>(std::sqrt(2 / M_PI)) * (x + static_cast<T>(0.044715) * x * x * x)));
}

template <typename T>
T GeluSlope(T x) {
  const T scale = static_cast<T>(std::sqrt(2 / M_PI)), cubic = static_cast<T>(0.044715);
  const T t = std::tanh(scale * (x + cubic * x * x * x));
  return (1 + t) / 2 + x / 2 * (1 - t * t) * scale * (1 + 3 * cubic * x * x);
}

template <typename T>
struct Normalized {
  Values<T> y, mean, rstd;
};

template <typename T>
Normalized<T> LayerNorm(std::int64_t rows, std::int64_t width, const Values<T>& x, const Values<T>& weight,
                        const Values<T>& bias) {
  Normalized<T> n{Values<T>(rows * width), Values<T>(rows), Values<T>(rows)};
  for (std::int64_t i = 0; i < rows; ++i) {
    T sum = 0, squares = 0;
    for (std::int64_t j = 0; j < width; ++j) sum += x[i * width + j];
    const T mean = n.mean[i] = sum / static_cast<T>(width);
    for (std::int64_t j = 0; j < width; ++j) squares += (x[i * width + j] - mean) * (x[i * width + j] - mean);
    n.rstd[i] = 1 / std::sqrt(squares / static_cast<T>(width) + static_cast<T>(1e-5));
    for (std::int64_t j = 0; j < width; ++j) {
      n.y[i * width + j] = (x[i * width + j] - mean) * n.rstd[i] * weight[j] + bias[j];
    }
  }
  return n;
}

template <typename T>
struct NormGradients {
  Values<T> x, weight, bias;
};

template <typename T>
NormGradients<T> LayerNormBackward(std::int64_t rows, std::int64_t width, const Values<T>& x, const Values<T>& weight,
                                   const Normalized<T>& kept, const Values<T>& d_y) {
  NormGradients<T> d{Values<T>(rows * width), Values<T>(width), Values<T>(width)};
  for (std::int64_t i = 0; i < rows; ++i) {
    const auto normal = [&](std::int64_t j) { return (x[i * width + j] - kept.mean[i]) * kept.rstd[i]; };
    T mean_g = 0, mean_gn = 0;
    for (std::int64_t j = 0; j < width; ++j) {
      const T g = d_y[i * width + j] * weight[j];
      mean_g += g;
      mean_gn += g * normal(j);
      d.weight[j] += d_y[i * width + j] * normal(j);
      d.bias[j] += d_y[i * width + j];
    }
    mean_g /= static_cast<T>(width);
    mean_gn /= static_cast<T>(width);
    for (std::int64_t j = 0; j < width; ++j) {
      d.x[i * width + j] = kept.rstd[i] * (d_y[i * width + j] * weight[j] - mean_g - normal(j) * mean_gn);
    }
  }
  return d;
}

template <typename T>
struct AttentionResult {
  Values<T> out, d_qkv;
};

// One sequence: qkv (length, 3, heads, width), forward and backward.
template <typename T>
AttentionResult<T> Attention(std::int64_t length, std::int64_t heads, std::int64_t width, const Values<T>& qkv,
                             const Values<T>& d_out) {
  AttentionResult<T> r{Values<T>(d_out.size()), Values<T>(qkv.size())};
  const T scale = 1 / std::sqrt(static_cast<T>(width));
  for (std::int64_t h = 0; h < heads; ++h) {
    const auto at = [&](std::int64_t i, int which, std::int64_t d) {
      return ((i * 3 + which) * heads + h) * width + d;
    };
    const auto out_at = [&](std::int64_t i, std::int64_t d) { return (i * heads + h) * width + d; };
    for (std::int64_t i = 0; i < length; ++i) {
      Values<T> p(i + 1), d_p(i + 1);
      T largest = -INFINITY, sum = 0, mean = 0;
      for (std::int64_t j = 0; j <= i; ++j) {
        for (std::int64_t d = 0; d < width; ++d) p[j] += qkv[at(i, 0, d)] * qkv[at(j, 1, d)];
        largest = std::max(largest, p[j] *= scale);
      }
      for (T& value : p) sum += value = std::exp(value - largest);
      for (std::int64_t j = 0; j <= i; ++j) {
        p[j] /= sum;
        for (std::int64_t d = 0; d < width; ++d) {
          r.out[out_at(i, d)] += p[j] * qkv[at(j, 2, d)];
          d_p[j] += d_out[out_at(i, d)] * qkv[at(j, 2, d)];
          r.d_qkv[at(j, 2, d)] += p[j] * d_out[out_at(i, d)];
        }
        mean += p[j] * d_p[j];
      }
      for (std::int64_t j = 0; j <= i; ++j) {
        const T d_s = p[j] * (d_p[j] - mean) * scale;
        for (std::int64_t d = 0; d < width; ++d) {
          r.d_qkv[at(i, 0, d)] += d_s * qkv[at(j, 1, d)];
          r.d_qkv[at(j, 1, d)] += d_s * qkv[at(i, 0, d)];
        }
      }
    }
  }
  return r;
}

template <typename T>
struct Loss {
  Values<T> losses, gradient;
};

// Rows of logits against targets; -1: not valid.
template <typename T>
Loss<T> CrossEntropy(std::int64_t rows, std::int64_t count, const Values<T>& z, const Values<std::int32_t>& targets) {
  Loss<T> loss{Values<T>(rows), Values<T>(rows * count)};
  for (std::int64_t i = 0; i < rows; ++i) {
    if (targets[i] < 0) continue;
    const T* const row = z.data() + i * count;
    const T largest = *std::max_element(row, row + count);
    T sum = 0;
    for (std::int64_t j = 0; j < count; ++j) sum += std::exp(row[j] - largest);
    loss.losses[i] = std::log(sum) + largest - row[targets[i]];
    for (std::int64_t j = 0; j < count; ++j) {
      loss.gradient[i * count + j] = std::exp(row[j] - largest) / sum - static_cast<T>(j == targets[i]);
    }
  }
  return loss;
}

}  // namespace lockstep::test
