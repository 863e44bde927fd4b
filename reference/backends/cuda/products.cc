#include "reference/backends/cuda/products.h"

#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "reference/backends/cuda/check.h"

namespace lockstep::backends::cuda {
namespace {

constexpr std::uint32_t kAlignment = 16;  // of every operand, bytes

// NVIDIA's advice for cublasSetWorkspace: 4 MiB, 32 MiB from Hopper on. Virtual GPUs use a few KiB, and are small.
std::size_t WorkspaceBytes([[maybe_unused]] int ordinal) {
#ifdef LOCKSTEP_VIRTUAL_GPU
  return std::size_t{64} << 10;
#else
  int major = 0;
  CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, ordinal));
  return std::size_t{major >= 9 ? 32u : 4u} << 20;
#endif
}

int Narrow(std::int64_t n) {
  if (n > std::numeric_limits<int>::max()) throw std::length_error("a product's side of " + std::to_string(n));
  return static_cast<int>(n);
}

cudaDataType_t TypeOf(device::Element element) { return element == device::Element::kF32 ? CUDA_R_32F : CUDA_R_16BF; }

cublasComputeType_t ComputeType(const Runtime& runtime, device::Element element) {
  return runtime.tf32() && element == device::Element::kF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

cublasOperation_t OperationOf(const Operand& operand) { return operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N; }

// cublasLt's descriptions, destroyed at the end of their scope.
template <typename T, cublasStatus_t (*kDestroy)(T)>
struct Destroyer {
  void operator()(T described) const { kDestroy(described); }
};
template <typename T, cublasStatus_t (*kDestroy)(T)>
using Handle = std::unique_ptr<std::remove_pointer_t<T>, Destroyer<T, kDestroy>>;
using MatmulHandle = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using LayoutHandle = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using PreferenceHandle = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <typename T>
void Set(const MatmulHandle& matmul, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(matmul.get(), attribute, &value, sizeof value));
}

template <typename T>
void Set(const PreferenceHandle& preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof value));
}

MatmulHandle Describe(cublasComputeType_t type, const Product& product, const FusedEpilogue& epilogue) {
  cublasLtMatmulDesc_t raw = nullptr;
  CUBLAS_CHECK(cublasLtMatmulDescCreate(&raw, type, CUDA_R_32F));
  MatmulHandle matmul(raw);
  Set(matmul, CUBLASLT_MATMUL_DESC_TRANSA, OperationOf(product.b));
  Set(matmul, CUBLASLT_MATMUL_DESC_TRANSB, OperationOf(product.a));
  const bool gelu = epilogue.before_activation != nullptr;
  Set(matmul, CUBLASLT_MATMUL_DESC_EPILOGUE, gelu ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_BIAS);
  Set(matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.bias);
  if (gelu) {
    Set(matmul, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, epilogue.before_activation);
    Set(matmul, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, product.n);
  }
  return matmul;
}

// (rows, columns) of the row-major product is (columns, rows) of cublasLt's.
LayoutHandle Layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns, const Operand& operand) {
  cublasLtMatrixLayout_t raw = nullptr;
  if (operand.transposed) std::swap(rows, columns);
  CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&raw, type, static_cast<std::uint64_t>(columns),
                                          static_cast<std::uint64_t>(rows), operand.leading));
  return LayoutHandle(raw);
}

struct Described {
  MatmulHandle matmul;
  LayoutHandle a, b, c;  // as the product has them, not as cublasLt takes them
};

std::optional<cublasLtMatmulAlgo_t> Heuristic(cublasLtHandle_t handle, const Described& described,
                                              std::size_t workspace_bytes) {
  cublasLtMatmulPreference_t raw = nullptr;
  CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&raw));
  const PreferenceHandle preference(raw);
  Set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    Set(preference, attribute, kAlignment);
  }
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle, described.matmul.get(), described.b.get(), described.a.get(),
                                     described.c.get(), described.c.get(), preference.get(), 1, &result, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && found == 0)) return std::nullopt;
  CUBLAS_CHECK(status);
  if (result.state != CUBLAS_STATUS_SUCCESS) return std::nullopt;
  return result.algo;
}

}  // namespace

Products::Products(const Runtime& runtime) : runtime_(runtime), workspace_bytes_(WorkspaceBytes(runtime.ordinal())) {}

void Products::Multiply(const Product& product, void* workspace) {
  const cublasHandle_t handle = runtime_.cublas();
  const float add = product.accumulate ? 1.0f : 0.0f;
  const cudaDataType_t type = TypeOf(product.element);
  const cublasComputeType_t compute = ComputeType(runtime_, product.element);
  const int m = Narrow(product.m), n = Narrow(product.n), k = Narrow(product.k);
  const int leading_a = Narrow(product.a.leading), leading_b = Narrow(product.b.leading);
  const int leading_c = Narrow(product.leading_c);
  CUBLAS_CHECK(cublasSetWorkspace(handle, workspace, workspace_bytes_));
  if (product.batch == 1) {
    CUBLAS_CHECK(cublasGemmEx(handle, OperationOf(product.b), OperationOf(product.a), n, m, k, &product.factor,
                              product.b.data, type, leading_b, product.a.data, type, leading_a, &add, product.c,
                              CUDA_R_32F, leading_c, compute, CUBLAS_GEMM_DEFAULT));
    return;
  }
  CUBLAS_CHECK(cublasGemmStridedBatchedEx(
      handle, OperationOf(product.b), OperationOf(product.a), n, m, k, &product.factor, product.b.data, type, leading_b,
      product.b.stride, product.a.data, type, leading_a, product.a.stride, &add, product.c, CUDA_R_32F, leading_c,
      product.stride_c, Narrow(product.batch), compute, CUBLAS_GEMM_DEFAULT));
}

bool Products::MultiplyFused(const Product& product, const FusedEpilogue& epilogue, void* workspace) {
  const bool gelu = epilogue.before_activation != nullptr;
  const Key key{product.m,
                product.n,
                product.k,
                product.a.leading,
                product.b.leading,
                product.leading_c,
                product.a.transposed,
                product.b.transposed,
                product.element == device::Element::kBF16,
                gelu};
  const auto known = algorithms_.find(key);
  if (known != algorithms_.end() && !known->second) return false;
  const cudaDataType_t type = TypeOf(product.element);
  const Described described{Describe(ComputeType(runtime_, product.element), product, epilogue),
                            Layout(type, product.m, product.k, product.a),
                            Layout(type, product.k, product.n, product.b),
                            Layout(CUDA_R_32F, product.m, product.n, {product.c, product.leading_c})};
  const auto algorithm = known != algorithms_.end()
                             ? known->second
                             : algorithms_[key] = Heuristic(runtime_.cublas_lt(), described, workspace_bytes_);
  if (!algorithm) return false;
  const float zero = 0;
  CUBLAS_CHECK(cublasLtMatmul(runtime_.cublas_lt(), described.matmul.get(), &product.factor, product.b.data,
                              described.b.get(), product.a.data, described.a.get(), &zero, product.c, described.c.get(),
                              product.c, described.c.get(), &*algorithm, workspace, workspace_bytes_,
                              runtime_.compute()));
  return true;
}

}  // namespace lockstep::backends::cuda
