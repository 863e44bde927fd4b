// The matrix product behind cuBLAS and cublasLt: column-major, on the thread that calls it, and every element of the
// result the same sum whatever is computed with it.
//
// An element is the chain s = 0; for p = 0 .. k-1: s = a[i][p] b[p][j] + s (fused where the processor fuses), then
// alpha s + beta c, then its epilogue. Its bits depend on its own row, column and scalars alone: not on m or n, not on
// where in a tile it falls. A library's product is not like that: oneDNN sums some shapes in another order than their
// parts (one in five of 3,000 random shapes), so that one replica's share of a batch would differ from the whole batch
// in the last bits; and it costs 0.25 us for a product of 3 by 3, where this takes 0.05 (at 512 it has 85% of oneDNN's
// speed). Does not know handles, streams or statuses.
#pragma once

#include <cstdint>

namespace lockstep::virtual_gpu::cublas {

enum class Element { kF32, kBF16 };
inline std::int64_t SizeOf(Element element) { return element == Element::kF32 ? 4 : 2; }

// Column-major: element (i, j) as stored lies at data[i + j * leading]; `transposed`: the product uses its transpose.
struct Operand {
  const void* data = nullptr;
  Element element = Element::kF32;
  std::int64_t leading = 0;
  bool transposed = false;
};

enum class Activation { kNone, kRelu, kGelu };

// What happens to alpha s + beta c before it is stored: u = it + bias[i]; aux[i][j] = u; d = activation(u).
struct Epilogue {
  Activation activation = Activation::kNone;
  const void* bias = nullptr;  // (m), of the result's element type; nullptr: none
  void* aux = nullptr;         // (m, n), of the result's element type; nullptr: not kept
  std::int64_t leading_aux = 0;
};

struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  Operand a, b;  // (m, k), (k, n) as used
  float alpha = 1.0f, beta = 0.0f;
  Element element = Element::kF32;  // of c, d, bias and aux
  const void* c = nullptr;          // (m, n); read only where beta is not 0
  std::int64_t leading_c = 0;
  void* d = nullptr;  // (m, n); may be c
  std::int64_t leading_d = 0;
  bool tf32 = false;  // rounds fp32 inputs to 10 bits of mantissa first, as tensor cores do when they may
  Epilogue epilogue;
};

// d = epilogue(alpha a b + beta c). alpha 0 or k 0: a and b are not read.
void Multiply(const Product& product);

}  // namespace lockstep::virtual_gpu::cublas
