// cublasLt's heuristic and product.
#include <cublasLt.h>

#include <algorithm>
#include <string>

#include "reference/virtual_gpu/cublas/handle.h"
#include "reference/virtual_gpu/cublas/lt_check.h"
#include "reference/virtual_gpu/cublas/pack.h"
#include "reference/virtual_gpu/cublas/product.h"
#include "reference/virtual_gpu/runtime/enqueue.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

constexpr const char* kMatmul = "cublasLtMatmul";
constexpr const char* kHeuristic = "cublasLtMatmulAlgoGetHeuristic";
constexpr std::uint64_t kAlgorithm = 0x6c6f636b73746570;  // marks one that we chose
constexpr std::uint64_t kWorkspace = 4096;                // bytes that our algorithm asks for where it may

// Where what is kept of a choice lies in cublasLtMatmulAlgo_t.
enum Slot { kMark, kConfiguration, kAlignmentA, kAlignmentB, kAlignmentC, kAlignmentD, kWorkspaceBytes };

// An algorithm is for these alone; sizes may change.
std::uint64_t Configuration(const LtDescriptions& of) {
  std::uint64_t code = of.product->epilogue;
  for (const std::uint64_t part : {std::uint64_t{of.a->type}, std::uint64_t{of.d->type},
                                   static_cast<std::uint64_t>(of.product->transa != CUBLAS_OP_N),
                                   static_cast<std::uint64_t>(of.product->transb != CUBLAS_OP_N),
                                   static_cast<std::uint64_t>(of.product->compute)}) {
    code = code * 128 + part;
  }
  return code;
}

// One cublasLtMatmul, after its checks: a copy of all that it names.
struct Matmul {
  cublasLtMatmulDescription product;
  cublasLtMatrixDescription a_layout, b_layout, c_layout, d_layout;
  const void *alpha, *beta;
  const void *a, *b, *c;
  void* d;
  float host_alpha = 0, host_beta = 0;  // where the scalars are the host's
  void* workspace;
  std::size_t workspace_bytes;
};

Element ElementOf(std::uint32_t type) { return type == CUDA_R_32F ? Element::kF32 : Element::kBF16; }

const void* Advance(const void* data, std::int64_t elements, std::uint32_t type) {
  return static_cast<const char*>(data) + elements * SizeOf(ElementOf(type));
}

Activation ActivationOf(std::uint32_t epilogue) {
  if (HasBiasGradient(epilogue)) return Activation::kNone;
  if ((epilogue & CUBLASLT_EPILOGUE_RELU) != 0) return Activation::kRelu;
  return (epilogue & CUBLASLT_EPILOGUE_GELU) != 0 ? Activation::kGelu : Activation::kNone;
}

Product ProductOf(const Matmul& matmul, std::int64_t i) {
  const cublasLtMatmulDescription& of = matmul.product;
  const bool on_device = of.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE;
  Product product;
  product.m = static_cast<std::int64_t>(matmul.d_layout.rows);
  product.n = static_cast<std::int64_t>(matmul.d_layout.columns);
  product.k = static_cast<std::int64_t>(of.transa == CUBLAS_OP_N ? matmul.a_layout.columns : matmul.a_layout.rows);
  const auto operand = [i](const void* data, const cublasLtMatrixDescription& layout, bool transposed) {
    return Operand{Advance(data, layout.stride * i, layout.type), ElementOf(layout.type), layout.leading, transposed};
  };
  product.a = operand(matmul.a, matmul.a_layout, of.transa != CUBLAS_OP_N);
  product.b = operand(matmul.b, matmul.b_layout, of.transb != CUBLAS_OP_N);
  product.alpha = on_device ? *static_cast<const float*>(matmul.alpha) : matmul.host_alpha;
  product.beta = on_device ? *static_cast<const float*>(matmul.beta) : matmul.host_beta;
  const std::uint32_t type = matmul.d_layout.type;
  product.element = ElementOf(type);
  product.c = Advance(matmul.c, matmul.c_layout.stride * i, type);
  product.leading_c = matmul.c_layout.leading;
  product.d = const_cast<void*>(Advance(matmul.d, matmul.d_layout.stride * i, type));
  product.leading_d = matmul.d_layout.leading;
  product.tf32 = of.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  product.epilogue.activation = ActivationOf(of.epilogue);
  if (HasBias(of.epilogue)) product.epilogue.bias = Advance(of.bias, of.bias_stride * i, type);
  if (HasAux(of.epilogue)) {
    product.epilogue.aux = const_cast<void*>(Advance(of.aux, of.aux_stride * i, type));
    product.epilogue.leading_aux = of.aux_leading;
  }
  return product;
}

void Run(const Matmul& matmul) {
  Scribble(matmul.workspace, matmul.workspace_bytes);
  for (std::int64_t i = 0; i < matmul.d_layout.batch; ++i) {
    const Product product = ProductOf(matmul, i);
    const std::uint32_t epilogue = matmul.product.epilogue;
    if (epilogue == CUBLASLT_EPILOGUE_BGRADA)
      SumUnits(RowsOf(product), product.k, product.element, matmul.product.bias);
    if (epilogue == CUBLASLT_EPILOGUE_BGRADB) {
      SumUnits(ColumnsOf(product), product.k, product.element, matmul.product.bias);
    }
    Multiply(product);
  }
}

cublasStatus_t CheckAlgorithm(const cublasLtMatmulAlgo_t& algorithm, const LtDescriptions& of, const Matmul& matmul) {
  const std::uint64_t* const data = algorithm.data;
  if (data[kMark] != kAlgorithm || data[kConfiguration] != Configuration(of)) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, kMatmul, "the algorithm was chosen for another kind of product");
  }
  const struct {
    const char* name;
    const void* pointer;
    std::uint64_t alignment;
  } matrices[] = {{"A", matmul.a, data[kAlignmentA]},
                  {"B", matmul.b, data[kAlignmentB]},
                  {"C", matmul.c, data[kAlignmentC]},
                  {"D", matmul.d, data[kAlignmentD]}};
  for (const auto& matrix : matrices) {
    if (reinterpret_cast<std::uintptr_t>(matrix.pointer) % matrix.alignment != 0) {
      return Refuse(CUBLAS_STATUS_INVALID_VALUE, kMatmul,
                    "%s is not aligned to the %llu bytes that the algorithm was chosen for", matrix.name,
                    static_cast<unsigned long long>(matrix.alignment));
    }
  }
  if (matmul.workspace_bytes < data[kWorkspaceBytes]) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, kMatmul, "the workspace has %zu bytes, the algorithm asks for %llu",
                  matmul.workspace_bytes, static_cast<unsigned long long>(data[kWorkspaceBytes]));
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CheckLayoutMemory(const char* name, const void* data, const cublasLtMatrixDescription& layout,
                                 int device) {
  return CheckMatrix(kMatmul, name, {data, ElementOf(layout.type), layout.leading, false},
                     static_cast<std::int64_t>(layout.rows), static_cast<std::int64_t>(layout.columns), layout.batch,
                     layout.stride, device);
}

// The epilogue's vector and matrix.
cublasStatus_t CheckExtras(const Matmul& matmul, int device) {
  const cublasLtMatmulDescription& of = matmul.product;
  const cublasLtMatrixDescription& d = matmul.d_layout;
  const Element element = ElementOf(d.type);
  const auto m = static_cast<std::int64_t>(d.rows), n = static_cast<std::int64_t>(d.columns);
  if (HasBias(of.epilogue) || HasBiasGradient(of.epilogue)) {
    const std::int64_t length = of.epilogue == CUBLASLT_EPILOGUE_BGRADB ? n : m;
    if (const auto status = CheckMatrix(kMatmul, "the bias", {of.bias, element, length, false}, length, 1, d.batch,
                                        of.bias_stride, device)) {
      return status;
    }
  }
  if (!HasAux(of.epilogue)) return CUBLAS_STATUS_SUCCESS;
  return CheckMatrix(kMatmul, "the auxiliary matrix", {of.aux, element, of.aux_leading, false}, m, n, d.batch,
                     of.aux_stride, device);
}

cublasStatus_t CheckPointers(const Matmul& matmul, int device) {
  if (matmul.alpha == nullptr || matmul.beta == nullptr) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, kMatmul, "%s is null", matmul.alpha == nullptr ? "alpha" : "beta");
  }
  const bool on_device = matmul.product.pointer_mode == CUBLASLT_POINTER_MODE_DEVICE;
  if (on_device) {
    if (const auto status = CheckMemory(kMatmul, "alpha", matmul.alpha, sizeof(float), device)) return status;
    if (const auto status = CheckMemory(kMatmul, "beta", matmul.beta, sizeof(float), device)) return status;
  }
  if (const auto status = CheckLayoutMemory("A", matmul.a, matmul.a_layout, device)) return status;
  if (const auto status = CheckLayoutMemory("B", matmul.b, matmul.b_layout, device)) return status;
  if (on_device || *static_cast<const float*>(matmul.beta) != 0) {
    if (const auto status = CheckLayoutMemory("C", matmul.c, matmul.c_layout, device)) return status;
  }
  if (const auto status = CheckLayoutMemory("D", matmul.d, matmul.d_layout, device)) return status;
  if (const auto status = CheckExtras(matmul, device)) return status;
  const auto workspace_bytes = static_cast<std::int64_t>(matmul.workspace_bytes);
  if (const auto status = CheckMemory(kMatmul, "the workspace", matmul.workspace, workspace_bytes, device)) {
    return status;
  }
  if (matmul.workspace_bytes > 0 && reinterpret_cast<std::uintptr_t>(matmul.workspace) % kWorkspaceAlignment != 0) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, kMatmul, "the workspace is not aligned to 256 bytes");
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace lockstep::virtual_gpu::cublas

namespace cublas = lockstep::virtual_gpu::cublas;

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[], int* count) {
  if (handle == nullptr) return cublas::Refuse(CUBLAS_STATUS_NOT_INITIALIZED, cublas::kHeuristic, "the handle is null");
  if (preference == nullptr || requested < 1 || results == nullptr || count == nullptr) {
    return cublas::Refuse(CUBLAS_STATUS_INVALID_VALUE, cublas::kHeuristic, "no preference, or no room for a result");
  }
  *count = 0;
  const cublas::LtDescriptions of{description, a, b, c, d};
  std::string why;
  const cublasStatus_t status = cublas::Check(of, why);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return status;  // an answer, and no error
  if (status != CUBLAS_STATUS_SUCCESS) return cublas::Refuse(status, cublas::kHeuristic, "%s", why.c_str());
  cublasLtMatmulHeuristicResult_t result{};
  result.workspaceSize = preference->workspace_bytes >= cublas::kWorkspace ? cublas::kWorkspace : 0;
  result.state = CUBLAS_STATUS_SUCCESS;
  result.wavesCount = 1.0f;
  const std::uint64_t kept[] = {cublas::kAlgorithm,
                                cublas::Configuration(of),
                                std::max(1u, preference->alignment_a),
                                std::max(1u, preference->alignment_b),
                                std::max(1u, preference->alignment_c),
                                std::max(1u, preference->alignment_d),
                                result.workspaceSize};
  std::copy(std::begin(kept), std::end(kept), result.algo.data);
  results[0] = result;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void* alpha,
                              const void* A, cublasLtMatrixLayout_t a, const void* B, cublasLtMatrixLayout_t b,
                              const void* beta, const void* C, cublasLtMatrixLayout_t c, void* D,
                              cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              std::size_t workspaceBytes, cudaStream_t stream) {
  if (handle == nullptr) return cublas::Refuse(CUBLAS_STATUS_NOT_INITIALIZED, cublas::kMatmul, "the handle is null");
  const cublas::LtDescriptions of{description, a, b, c, d};
  std::string why;
  if (const auto status = cublas::Check(of, why)) return cublas::Refuse(status, cublas::kMatmul, "%s", why.c_str());
  cublas::Matmul matmul{*description, *a, *b, *c, *d, alpha, beta, A, B, C, D, 0, 0, workspace, workspaceBytes};
  int device = 0;
  if (const cudaError_t error = cudaGetDevice(&device); error != cudaSuccess) {
    return cublas::Refuse(CUBLAS_STATUS_EXECUTION_FAILED, cublas::kMatmul, "the device has failed: %s",
                          cudaGetErrorString(error));
  }
  if (const auto status = cublas::CheckPointers(matmul, device)) return status;
  if (algorithm != nullptr) {
    if (const auto status = cublas::CheckAlgorithm(*algorithm, of, matmul)) return status;
  }
  if (const auto status = cublas::CheckStream(cublas::kMatmul, stream, device)) return status;
  if (description->pointer_mode == CUBLASLT_POINTER_MODE_HOST) {
    matmul.host_alpha = *static_cast<const float*>(alpha);
    matmul.host_beta = *static_cast<const float*>(beta);
  }
  lockstep::virtual_gpu::Enqueue(stream, cublas::kMatmul, [matmul] {
    cublas::Run(matmul);
    return cudaSuccess;
  });
  return CUBLAS_STATUS_SUCCESS;
}
