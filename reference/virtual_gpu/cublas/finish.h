// From sums to stored elements: scalars, bias, the copy before the activation, the activation, the rounding.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/cublas/product.h"

namespace lockstep::virtual_gpu::cublas {

// Sums of the result's elements (first_row + i, first_column + j) at data[i * row_stride + j * column_stride].
struct Sums {
  std::int64_t first_row = 0, rows = 0, first_column = 0, columns = 0;
  const float* data = nullptr;
  std::int64_t row_stride = 0, column_stride = 0;
};

void Finish(const Product& product, const Sums& sums);

}  // namespace lockstep::virtual_gpu::cublas
