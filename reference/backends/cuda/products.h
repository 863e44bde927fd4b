// Matrix products by cuBLAS and cublasLt, row-major: the one place that knows of columns first.
//
// c = a b row by row is c^T = b^T a^T column by column: operands change places, nothing is copied. Sums are fp32; fp32
// inputs stay fp32 (no TF32 unless the runtime was asked for it, no emulation), bf16 inputs are multiplied as they
// stand. The workspace is the caller's, so that cuBLAS has no reason to pick another algorithm in another run; operands
// must be 16-byte aligned, for the same reason.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "reference/backends/cuda/runtime.h"
#include "reference/device/device.h"

namespace lockstep::backends::cuda {

// Rows of `leading` elements; `transposed`: stored as the transpose of what the product uses.
struct Operand {
  const void* data = nullptr;
  std::int64_t leading = 0;
  bool transposed = false;
  std::int64_t stride = 0;  // elements from one product of a batch to the next
};

struct Product {
  std::int64_t m = 0, n = 0, k = 0;  // none 0
  Operand a = {}, b = {};            // (m, k), (k, n) as used
  device::Element element = device::Element::kF32;
  float factor = 1;
  bool accumulate = false;
  float* c = nullptr;  // (m, n) = factor a b, or +=
  std::int64_t leading_c = 0, stride_c = 0;
  std::int64_t batch = 1;
};

struct FusedEpilogue {
  const float* bias = nullptr;         // (n)
  float* before_activation = nullptr;  // (m, n): GELU; nullptr: the bias alone
};

class Products {
 public:
  explicit Products(const Runtime& runtime);

  // Bytes that a product may use beside its operands; the same for every product.
  std::size_t workspace_bytes() const { return workspace_bytes_; }
  void Multiply(const Product& product, void* workspace);
  // c = a b + bias, or gelu of it, in the product's own pass. False, and nothing done, where cublasLt has no algorithm.
  bool MultiplyFused(const Product& product, const FusedEpilogue& epilogue, void* workspace);

 private:
  using Key = std::array<std::int64_t, 10>;

  const Runtime& runtime_;
  std::size_t workspace_bytes_;
  std::map<Key, std::optional<cublasLtMatmulAlgo_t>> algorithms_;  // what the heuristic said, asked once a shape
};

}  // namespace lockstep::backends::cuda
