// The pieces that both models are made of: matrix product, bias, LayerNorm, activations, dropout; each with its
// backward.
//
// Every function is the plain loop of its formula in PROTOCOL.md, "Models". Backward functions take the gradient of the
// output, add to the gradients of the parameters and return the gradient of the input. Rows are positions (gpt) or one
// sample (mlp). Nothing here knows of batches, plans or the mean over valid targets.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/protocol/workload.h"

namespace lockstep::oracle {

struct Matrix {
  Matrix() = default;
  Matrix(std::int64_t rows_in, std::int64_t cols_in)
      : rows(rows_in), cols(cols_in), values(static_cast<std::size_t>(rows_in * cols_in), 0.0) {}
  double& operator()(std::int64_t row, std::int64_t col) { return values[static_cast<std::size_t>(row * cols + col)]; }
  double operator()(std::int64_t row, std::int64_t col) const {
    return values[static_cast<std::size_t>(row * cols + col)];
  }

  std::int64_t rows = 0, cols = 0;
  std::vector<double> values;  // (rows, cols), row-major
};

void AddTo(Matrix& sum, const Matrix& term);

// x W^T with x (n, in) and W (out, in), flat.
Matrix Product(const Matrix& x, const std::vector<double>& weight);
Matrix ProductBackward(const Matrix& x, const std::vector<double>& weight, const Matrix& dy,
                       std::vector<double>& d_weight);

// x W^T + b.
Matrix Linear(const Matrix& x, const std::vector<double>& weight, const std::vector<double>& bias);
Matrix LinearBackward(const Matrix& x, const std::vector<double>& weight, const Matrix& dy,
                      std::vector<double>& d_weight, std::vector<double>& d_bias);

// (x - mean) / sqrt(variance + 1e-5) * weight + bias, row by row, variance with 1/C.
Matrix LayerNorm(const Matrix& x, const std::vector<double>& weight, const std::vector<double>& bias);
Matrix LayerNormBackward(const Matrix& x, const std::vector<double>& weight, const Matrix& dy,
                         std::vector<double>& d_weight, std::vector<double>& d_bias);

// relu(x) = max(x, 0) with gradient 0 at 0; gelu(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
Matrix Activate(protocol::Activation kind, const Matrix& x);
Matrix ActivateBackward(protocol::Activation kind, const Matrix& x, const Matrix& dy);

// One dropout layer in one sample of one step; rows of the matrix are positions.
struct DropoutMask {
  std::uint64_t seed = 0, step = 0, sample = 0, site = 0;
  double probability = 0;
};

// Drops or scales each element in place. Linear and diagonal: the same call is its own backward.
void Dropout(const DropoutMask& mask, Matrix& x);

}  // namespace lockstep::oracle
