// A product as the plain loop in double, over column-major matrices whose padding must be neither read nor written.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace lockstep::suites::virtual_gpu {

// Elements (i, j) at values[i + j * leading]; NaN between the columns.
struct HostMatrix {
  std::int64_t rows = 0, columns = 0, leading = 0;
  std::vector<float> values;

  float at(std::int64_t i, std::int64_t j) const { return values[static_cast<std::size_t>(i + j * leading)]; }
};

enum class Values { kNormal, kIntegers };  // integers: small ones, whose products and sums are exact in fp32

inline HostMatrix RandomMatrix(std::mt19937& random, std::int64_t rows, std::int64_t columns, std::int64_t padding,
                               Values values = Values::kNormal) {
  HostMatrix matrix{rows, columns, std::max<std::int64_t>(1, rows + padding), {}};
  matrix.values.assign(static_cast<std::size_t>(matrix.leading * columns), std::numeric_limits<float>::quiet_NaN());
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> integers(-8, 8);
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < rows; ++i) {
      matrix.values[static_cast<std::size_t>(i + j * matrix.leading)] =
          values == Values::kNormal ? normal(random) : static_cast<float>(integers(random));
    }
  }
  return matrix;
}

struct Expected {
  double value = 0, magnitude = 0;  // sum_p a b, and of absolute values
};

// sum_p op(a)[i][p] op(b)[p][j]
inline Expected SumOfProducts(const HostMatrix& a, bool transa, const HostMatrix& b, bool transb, std::int64_t k,
                              std::int64_t i, std::int64_t j) {
  Expected sum;
  for (std::int64_t p = 0; p < k; ++p) {
    const double term = static_cast<double>(transa ? a.at(p, i) : a.at(i, p)) * (transb ? b.at(j, p) : b.at(p, j));
    sum.value += term;
    sum.magnitude += std::fabs(term);
  }
  return sum;
}

// What rounding can do to a chain of k fp32 additions and a few operations after it.
inline double Bound(std::int64_t k, double magnitude) {
  return static_cast<double>(k + 4) * std::ldexp(1.0, -24) * magnitude + std::ldexp(1.0, -140);
}

}  // namespace lockstep::suites::virtual_gpu
