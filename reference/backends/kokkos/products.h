// Matrix products by oneDNN, behind one function of one thread.
//
// A product runs on the thread that calls it, so that its bytes do not depend on how many threads there are; whoever
// wants many cuts the result into tiles. bf16 inputs use the processor's own bf16 products where it has them, else they
// are widened to fp32, which is exact, and multiplied as fp32. Sums are fp32 either way.
#pragma once

#include <cstdint>

namespace lockstep::backends::kokkos {

// A matrix in memory: rows of `leading` elements; `transposed`: stored as the transpose of what the product uses.
template <typename T>
struct Operand {
  const T* data = nullptr;
  std::int64_t leading = 0;
  bool transposed = false;

  // The same matrix from row i (of the product's view) on.
  Operand FromRow(std::int64_t i) const { return {data + (transposed ? i : i * leading), leading, transposed}; }
};

// c (m, n; rows of leading_c) = factor a b, or += . k 0 gives zeros.
void MultiplyF32(std::int64_t m, std::int64_t n, std::int64_t k, float factor, const Operand<float>& a,
                 const Operand<float>& b, bool accumulate, float* c, std::int64_t leading_c);

// What oneDNN does with bf16 here, and its name.
class Products {
 public:
  Products();
  bool native_bf16() const { return native_bf16_; }

 private:
  bool native_bf16_;
};

}  // namespace lockstep::backends::kokkos
