// CudaDevice::Multiply: cuBLAS for the product, cublasLt where it can add the bias and apply GELU in the same pass, a
// kernel of our own for every other epilogue.
//
// ReLU is always ours: cublasLt's is max(x, 0), which turns NaN into 0. Operands that are not 16-byte aligned are
// copied to where they are, so that cuBLAS chooses the same algorithm, and gives the same bytes, wherever they lie.

#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/math.cuh"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/row_groups.cuh"
#include "reference/device/gemm_check.h"

namespace lockstep::backends::cuda {
namespace kernels {

using device::Epilogue;

// for i, j: u = c[i][j] + bias[j]; before[i][j] = u; c[i][j] = activation(u)
// reads 4 rows width bytes, writes as many, and again for `before`; an addition and an activation an element
template <Epilogue kEpilogue>
__global__ void __launch_bounds__(kBlock) Finish(std::int64_t rows, std::int64_t width, const float* bias, float* c,
                                                 std::int64_t leading_c, float* before, bool aligned) {
  const std::int64_t i = RowOfThread();
  if (i >= rows) return;
  const auto activation = [](float u) {
    if (kEpilogue == Epilogue::kBiasRelu) return u <= 0.0f ? 0.0f : u;  // NaN stays
    if (kEpilogue == Epilogue::kBiasGelu) return Gelu(u);
    return u;
  };
  float* const row = c + i * leading_c;
  ForVectors(width, [&](std::int64_t j) {
    const float4 u = Map(Plus{}, Load4Of(row, j, width, aligned, 0), Load4Of(bias, j, width, aligned, 0));
    if (before != nullptr) Store4Of(before + i * width, j, width, u, aligned);
    Store4Of(row, j, width, Map(activation, u), aligned);
  });
}

// for i, j: target[i][j] = source[i][j], or 0 where source is null;  reads and writes 4 rows width bytes each
__global__ void __launch_bounds__(kBlock)
    CopyRows(std::int64_t rows, std::int64_t width, const float* source, std::int64_t leading_source, float* target,
             std::int64_t leading_target) {
  const std::int64_t i = RowOfThread();
  if (i >= rows) return;
  for (std::int64_t j = threadIdx.x; j < width; j += blockDim.x) {
    target[i * leading_target + j] = source == nullptr ? 0.0f : source[i * leading_source + j];
  }
}

}  // namespace kernels

namespace {

using device::Element;
using device::Epilogue;
using device::Gemm;
using device::Matrix;

constexpr std::size_t kAlignment = 16;
constexpr std::int64_t kAuxiliary = 8;  // cublasLt: before_activation's rows are a multiple of this, in elements

// An operand as cuBLAS takes it, and the memory that it was copied to.
struct Staged {
  Operand operand;
  device::Buffer memory;
};

Staged Stage(CudaDevice& device, const Matrix& matrix, std::int64_t rows, std::int64_t columns) {
  if (matrix.transposed) std::swap(rows, columns);
  Staged staged{{matrix.data, matrix.leading == 0 ? columns : matrix.leading, matrix.transposed}, {}};
  if (rows == 0 || columns == 0 || Aligned(kAlignment, matrix.data)) return staged;
  const std::size_t size = matrix.element == Element::kF32 ? sizeof(float) : sizeof(std::uint16_t);
  const std::size_t bytes = static_cast<std::size_t>((rows - 1) * staged.operand.leading + columns) * size;
  staged.memory = device.Allocate(bytes, device::Category::kWorkspace);
  device.Copy(staged.memory.data(), matrix.data, bytes);
  staged.operand.data = staged.memory.data();
  return staged;
}

}  // namespace

void CudaDevice::Multiply(const Gemm& gemm) {
  device::RequireValid(gemm);
  if (gemm.m == 0 || gemm.n == 0) return;
  const Range range("product");
  const std::int64_t leading_c = gemm.leading_c == 0 ? gemm.n : gemm.leading_c;
  const Grid rows = RowGrid(gemm.m, gemm.n, 1);
  if (Aligned(kAlignment, gemm.c) && Aligned(kAlignment, gemm.bias) && Aligned(kAlignment, gemm.before_activation)) {
    MultiplyAligned(gemm, leading_c);
    return;
  }
  const auto floats = [](std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); };
  const device::Buffer c = Workspace(floats(gemm.m * leading_c)), bias = Workspace(floats(gemm.n));
  const device::Buffer before = Workspace(gemm.before_activation == nullptr ? 0 : floats(gemm.m * gemm.n));
  Gemm staged = gemm;
  staged.c = c.f32();
  if (gemm.bias != nullptr) {
    Copy(bias.data(), gemm.bias, bias.bytes());
    staged.bias = bias.f32();
  }
  if (gemm.before_activation != nullptr) staged.before_activation = before.f32();
  if (gemm.accumulate)
    Launch<kernels::CopyRows>(stream(), rows, 0, gemm.m, gemm.n, gemm.c, leading_c, c.f32(), leading_c);
  MultiplyAligned(staged, leading_c);
  Launch<kernels::CopyRows>(stream(), rows, 0, gemm.m, gemm.n, c.f32(), leading_c, gemm.c, leading_c);
  if (gemm.before_activation != nullptr) Copy(gemm.before_activation, before.data(), before.bytes());
}

// c, bias and before_activation are aligned.
void CudaDevice::MultiplyAligned(const Gemm& gemm, std::int64_t leading_c) {
  const Grid rows = RowGrid(gemm.m, gemm.n, 1);
  const Staged a = Stage(*this, gemm.a, gemm.m, gemm.k), b = Stage(*this, gemm.b, gemm.k, gemm.n);
  Product product{.m = gemm.m, .n = gemm.n, .k = gemm.k, .a = a.operand, .b = b.operand, .element = gemm.a.element};
  product.accumulate = gemm.accumulate;
  product.c = gemm.c;
  product.leading_c = leading_c;
  if (gemm.k == 0) {
    const float* const nothing = nullptr;
    if (!gemm.accumulate) {
      Launch<kernels::CopyRows>(stream(), rows, 0, gemm.m, gemm.n, nothing, leading_c, gemm.c, leading_c);
    }
  } else {
    const device::Buffer workspace = Workspace(products_.workspace_bytes());
    const bool gelu =
        gemm.epilogue == Epilogue::kBiasGelu && gemm.before_activation != nullptr && gemm.n % kAuxiliary == 0;
    const bool bias = gemm.epilogue == Epilogue::kBias && gemm.before_activation == nullptr;
    if (gelu || bias) {
      const FusedEpilogue epilogue{gemm.bias, gelu ? gemm.before_activation : nullptr};
      if (products_.MultiplyFused(product, epilogue, workspace.data())) return;
    }
    products_.Multiply(product, workspace.data());
  }
  const bool aligned = gemm.n % kVector == 0 && leading_c % kVector == 0;
  const auto finish = [&]<Epilogue kEpilogue>() {
    Launch<kernels::Finish<kEpilogue>>(stream(), rows, 0, gemm.m, gemm.n, gemm.bias, gemm.c, leading_c,
                                       gemm.before_activation, aligned);
  };
  if (gemm.epilogue == Epilogue::kBias) finish.template operator()<Epilogue::kBias>();
  if (gemm.epilogue == Epilogue::kBiasRelu) finish.template operator()<Epilogue::kBiasRelu>();
  if (gemm.epilogue == Epilogue::kBiasGelu) finish.template operator()<Epilogue::kBiasGelu>();
}

}  // namespace lockstep::backends::cuda
