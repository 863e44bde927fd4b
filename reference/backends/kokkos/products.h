// Matrix products by oneDNN, behind one function a type, on one thread.
//
// A product runs on the thread that calls it, so that its bytes do not depend on how many threads there are; whoever
// wants many cuts the result into tiles. bf16 inputs use the processor's own bf16 products where it has them; where it
// has none they must be widened to fp32, which is exact. Sums are fp32 either way.
#pragma once

#include <cstdint>
#include <memory>

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

// The processor's own products of bf16 (AVX512-BF16, AMX): each shape's kernel is made once and kept.
class BF16Products {
 public:
  BF16Products();
  ~BF16Products();
  // False: the processor has none, and Multiply must not be called.
  bool native() const { return native_; }
  // As MultiplyF32 with factor 1. Several threads may call at once.
  void Multiply(std::int64_t m, std::int64_t n, std::int64_t k, const Operand<std::uint16_t>& a,
                const Operand<std::uint16_t>& b, bool accumulate, float* c, std::int64_t leading_c);

 private:
  struct Kernels;
  bool native_;
  std::unique_ptr<Kernels> kernels_;
};

}  // namespace lockstep::backends::kokkos
