#include "harness/oracle/attention.h"

#include <algorithm>
#include <cmath>

namespace lockstep::oracle {
namespace {

// Columns of q, k and v of one head in a row of qkv.
struct Head {
  Head(const Matrix& qkv, std::int64_t heads, std::int64_t head)
      : width(qkv.cols / 3 / heads), q(head * width), k(q + qkv.cols / 3), v(k + qkv.cols / 3) {}
  double Scale() const { return 1 / std::sqrt(static_cast<double>(width)); }
  std::int64_t width, q, k, v;
};

// Row t: softmax over positions u = 0 .. t of q_t k_u / sqrt(D); 0 after t.
Matrix Probabilities(const Matrix& qkv, const Head& head) {
  const std::int64_t positions = qkv.rows;
  Matrix p(positions, positions);
  for (std::int64_t t = 0; t < positions; ++t) {
    for (std::int64_t u = 0; u <= t; ++u) {
      double score = 0;
      for (std::int64_t d = 0; d < head.width; ++d) score += qkv(t, head.q + d) * qkv(u, head.k + d);
      p(t, u) = score * head.Scale();
    }
    double largest = p(t, 0);
    for (std::int64_t u = 1; u <= t; ++u) largest = std::max(largest, p(t, u));
    double sum = 0;
    for (std::int64_t u = 0; u <= t; ++u) sum += p(t, u) = std::exp(p(t, u) - largest);
    for (std::int64_t u = 0; u <= t; ++u) p(t, u) /= sum;
  }
  return p;
}

}  // namespace

Matrix Attention(const Matrix& qkv, std::int64_t heads) {
  Matrix y(qkv.rows, qkv.cols / 3);
  for (std::int64_t h = 0; h < heads; ++h) {
    const Head head(qkv, heads, h);
    const Matrix p = Probabilities(qkv, head);
    for (std::int64_t t = 0; t < qkv.rows; ++t) {
      for (std::int64_t u = 0; u <= t; ++u) {
        for (std::int64_t d = 0; d < head.width; ++d) y(t, head.q + d) += p(t, u) * qkv(u, head.v + d);
      }
    }
  }
  return y;
}

Matrix AttentionBackward(const Matrix& qkv, std::int64_t heads, const Matrix& dy) {
  Matrix d_qkv(qkv.rows, qkv.cols);
  std::vector<double> dp(static_cast<std::size_t>(qkv.rows));
  for (std::int64_t h = 0; h < heads; ++h) {
    const Head head(qkv, heads, h);
    const Matrix p = Probabilities(qkv, head);
    for (std::int64_t t = 0; t < qkv.rows; ++t) {
      double mean = 0;  // sum over u of p dp, which the softmax takes away from every dp
      for (std::int64_t u = 0; u <= t; ++u) {
        double sum = 0;
        for (std::int64_t d = 0; d < head.width; ++d) {
          sum += dy(t, head.q + d) * qkv(u, head.v + d);
          d_qkv(u, head.v + d) += p(t, u) * dy(t, head.q + d);
        }
        dp[static_cast<std::size_t>(u)] = sum;
        mean += p(t, u) * sum;
      }
      for (std::int64_t u = 0; u <= t; ++u) {
        const double d_score = p(t, u) * (dp[static_cast<std::size_t>(u)] - mean) * head.Scale();
        for (std::int64_t d = 0; d < head.width; ++d) {
          d_qkv(t, head.q + d) += d_score * qkv(u, head.k + d);
          d_qkv(u, head.k + d) += d_score * qkv(t, head.q + d);
        }
      }
    }
  }
  return d_qkv;
}

}  // namespace lockstep::oracle
