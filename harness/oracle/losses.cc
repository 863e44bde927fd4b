#include "harness/oracle/losses.h"

#include <algorithm>
#include <cmath>

namespace lockstep::oracle {

double SquaredError(const Matrix& y, std::int64_t row, const std::vector<double>& target, Matrix& dy) {
  double sum = 0;
  for (std::int64_t j = 0; j < y.cols; ++j) {
    dy(row, j) = y(row, j) - target[static_cast<std::size_t>(j)];
    sum += dy(row, j) * dy(row, j);
  }
  return sum / 2;
}

double CrossEntropy(const Matrix& z, std::int64_t row, std::int64_t target, Matrix& dz) {
  double largest = z(row, 0);
  for (std::int64_t j = 1; j < z.cols; ++j) largest = std::max(largest, z(row, j));
  double sum = 0;
  for (std::int64_t j = 0; j < z.cols; ++j) sum += std::exp(z(row, j) - largest);
  for (std::int64_t j = 0; j < z.cols; ++j) dz(row, j) = std::exp(z(row, j) - largest) / sum;
  dz(row, target) -= 1;
  return largest + std::log(sum) - z(row, target);
}

}  // namespace lockstep::oracle
