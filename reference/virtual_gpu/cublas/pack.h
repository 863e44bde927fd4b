// Copies of an operand in the order in which a tile reads it, as fp32.
//
// A side of a product is its operand seen as units (rows of a, columns of b) of k terms each. bf16 is widened, which is
// exact; with tf32, fp32 is rounded to 10 bits of mantissa.
#pragma once

#include <cstdint>

#include "reference/virtual_gpu/cublas/product.h"

namespace lockstep::virtual_gpu::cublas {

struct Side {
  const void* data = nullptr;
  Element element = Element::kF32;
  std::int64_t units = 0;
  std::int64_t unit_stride = 0, term_stride = 0;  // elements
  bool tf32 = false;
};

Side RowsOf(const Product& product);
Side ColumnsOf(const Product& product);

// panel[p * width + u] = term p of unit first + u for u < count; 0 for count <= u < width
void Pack(const Side& side, std::int64_t first, std::int64_t count, std::int64_t k, std::int64_t width, float* panel);

// sums[u] = sum_p of unit u's terms, in order, of the stored values (no tf32)
void SumUnits(const Side& side, std::int64_t k, Element element, void* sums);

}  // namespace lockstep::virtual_gpu::cublas
