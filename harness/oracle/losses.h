// Losses of one target and their gradients, not yet divided by the number of valid targets (PROTOCOL.md, "Loss").
#pragma once

#include <cstdint>
#include <vector>

#include "harness/oracle/layers.h"

namespace lockstep::oracle {

// l = 1/2 sum_j (y_j - t_j)^2; the gradient y - t is written to the row of dy.
double SquaredError(const Matrix& y, std::int64_t row, const std::vector<double>& target, Matrix& dy);

// l = log(sum_j exp(z_j)) - z_target; the gradient softmax(z) - onehot(target) is written to the row of dz.
double CrossEntropy(const Matrix& z, std::int64_t row, std::int64_t target, Matrix& dz);

}  // namespace lockstep::oracle
