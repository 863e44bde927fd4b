// cuBLAS's products: each entry point fills in one Call, which is checked as cuBLAS checks it and enqueued.
#include <cublas_v2.h>

#include <algorithm>
#include <cstdlib>

#include "reference/virtual_gpu/cublas/handle.h"
#include "reference/virtual_gpu/cublas/product.h"
#include "reference/virtual_gpu/runtime/enqueue.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

struct Matrix {
  const void* data;
  cudaDataType type;
  int leading;
  long long stride;
};

struct Call {
  const char* name;
  cublasHandle_t handle;
  cublasOperation_t transa, transb;
  int m, n, k;
  const void* alpha;
  Matrix a, b;
  const void* beta;
  Matrix c;
  int batch = 1;
  int compute = CUBLAS_COMPUTE_32F;
  int algorithm = CUBLAS_GEMM_DEFAULT;
};

Element ElementOf(cudaDataType type) { return type == CUDA_R_32F ? Element::kF32 : Element::kBF16; }

Operand OperandOf(const Matrix& matrix, bool transposed) {
  return {matrix.data, ElementOf(matrix.type), matrix.leading, transposed};
}

cublasStatus_t CheckLeading(const Call& call, const char* argument, int leading, int rows) {
  if (leading >= std::max(1, rows)) return CUBLAS_STATUS_SUCCESS;
  return Refuse(CUBLAS_STATUS_INVALID_VALUE, call.name, "%s is %d, at least %d is needed", argument, leading,
                std::max(1, rows));
}

// Whether two results of the batch share an element. Results may lie between each other's columns.
bool Overlap(const Call& call) {
  if (call.m == 0 || call.n == 0) return false;
  for (int i = 1; i < call.batch; ++i) {
    const long long offset = std::abs(call.c.stride) * i;
    const long long column = offset / call.c.leading, row = offset % call.c.leading;
    if (column < call.n && row < call.m) return true;
    if (column + 1 < call.n && call.c.leading - row < call.m) return true;
  }
  return false;
}

cublasStatus_t CheckShape(const Call& call) {
  if (const auto status = CheckOperation(call.name, "transa", call.transa)) return status;
  if (const auto status = CheckOperation(call.name, "transb", call.transb)) return status;
  const struct {
    const char* name;
    int value;
  } sizes[] = {{"m", call.m}, {"n", call.n}, {"k", call.k}, {"batchCount", call.batch}};
  for (const auto& size : sizes) {
    if (size.value < 0) return Refuse(CUBLAS_STATUS_INVALID_VALUE, call.name, "%s is %d", size.name, size.value);
  }
  const int rows_a = call.transa == CUBLAS_OP_N ? call.m : call.k;
  const int rows_b = call.transb == CUBLAS_OP_N ? call.k : call.n;
  if (const auto status = CheckLeading(call, "lda", call.a.leading, rows_a)) return status;
  if (const auto status = CheckLeading(call, "ldb", call.b.leading, rows_b)) return status;
  if (const auto status = CheckLeading(call, "ldc", call.c.leading, call.m)) return status;
  if (Overlap(call)) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, call.name, "strideC is %lld: the results of the batch overlap",
                  call.c.stride);
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CheckTypes(const Call& call) {
  const auto covered = [](cudaDataType type) { return type == CUDA_R_32F || type == CUDA_R_16BF; };
  const bool inputs = call.a.type == call.b.type && covered(call.a.type);
  if (!inputs || (call.c.type != CUDA_R_32F && (call.c.type != CUDA_R_16BF || call.a.type != CUDA_R_16BF))) {
    return Refuse(CUBLAS_STATUS_NOT_SUPPORTED, call.name, "A %s, B %s, C %s is not covered", TypeName(call.a.type),
                  TypeName(call.b.type), TypeName(call.c.type));
  }
  if (call.compute != CUBLAS_COMPUTE_32F && call.compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
      call.compute != CUBLAS_COMPUTE_32F_FAST_TF32) {
    return Refuse(CUBLAS_STATUS_NOT_SUPPORTED, call.name, "computeType %d is not covered", call.compute);
  }
  if (call.algorithm != CUBLAS_GEMM_DEFAULT && call.algorithm != CUBLAS_GEMM_DEFAULT_TENSOR_OP) {
    return Refuse(CUBLAS_STATUS_NOT_SUPPORTED, call.name, "algo %d is not covered", call.algorithm);
  }
  return CUBLAS_STATUS_SUCCESS;
}

// What is not read need not be there: A and B where k is 0, nothing at all where m, n or the batch is 0.
cublasStatus_t CheckPointers(const Call& call) {
  const int device = call.handle->device;
  const bool on_device = call.handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE;
  const struct {
    const char* name;
    const void* data;
  } scalars[] = {{"alpha", call.alpha}, {"beta", call.beta}};
  for (const auto& scalar : scalars) {
    if (scalar.data == nullptr) {
      return Refuse(CUBLAS_STATUS_INVALID_VALUE, call.name, "%s is null", scalar.name);
    }
    if (!on_device) continue;
    if (const auto status = CheckMemory(call.name, scalar.name, scalar.data, sizeof(float), device)) return status;
  }
  const bool transa = call.transa != CUBLAS_OP_N, transb = call.transb != CUBLAS_OP_N;
  const struct {
    const char* name;
    const Matrix& matrix;
    int rows, columns;
  } matrices[] = {{"A", call.a, transa ? call.k : call.m, transa ? call.m : call.k},
                  {"B", call.b, transb ? call.n : call.k, transb ? call.k : call.n},
                  {"C", call.c, call.m, call.n}};
  if (call.m == 0 || call.n == 0) return CUBLAS_STATUS_SUCCESS;
  for (const auto& each : matrices) {
    if (const auto status = CheckMatrix(call.name, each.name, OperandOf(each.matrix, false), each.rows, each.columns,
                                        call.batch, each.matrix.stride, device)) {
      return status;
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

const void* Advance(const Matrix& matrix, int batch) {
  return static_cast<const char*>(matrix.data) + matrix.stride * batch * SizeOf(ElementOf(matrix.type));
}

struct Scalars {
  bool on_device;
  float alpha = 0, beta = 0;  // where not on the device
};

void Run(const Call& call, const Scalars& scalars, bool tf32, void* workspace, std::size_t workspace_bytes) {
  Scribble(workspace, workspace_bytes);
  Product product;
  product.m = call.m, product.n = call.n, product.k = call.k;
  product.alpha = scalars.on_device ? *static_cast<const float*>(call.alpha) : scalars.alpha;
  product.beta = scalars.on_device ? *static_cast<const float*>(call.beta) : scalars.beta;
  product.element = ElementOf(call.c.type);
  product.leading_c = product.leading_d = call.c.leading;
  product.tf32 = tf32;
  for (int i = 0; i < call.batch; ++i) {
    product.a = OperandOf(call.a, call.transa != CUBLAS_OP_N);
    product.a.data = Advance(call.a, i);
    product.b = OperandOf(call.b, call.transb != CUBLAS_OP_N);
    product.b.data = Advance(call.b, i);
    product.c = Advance(call.c, i);
    product.d = const_cast<void*>(product.c);
    Multiply(product);
  }
}

cublasStatus_t Start(const Call& call) {
  if (const auto status = CheckHandle(call.name, call.handle)) return status;
  if (const auto status = CheckShape(call)) return status;
  if (const auto status = CheckTypes(call)) return status;
  if (const auto status = CheckPointers(call)) return status;
  if (call.m == 0 || call.n == 0 || call.batch == 0) return CUBLAS_STATUS_SUCCESS;
  Scalars scalars{call.handle->pointer_mode == CUBLAS_POINTER_MODE_DEVICE};
  if (!scalars.on_device) {
    scalars.alpha = *static_cast<const float*>(call.alpha);
    scalars.beta = *static_cast<const float*>(call.beta);
  }
  const int mode = call.handle->math_mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  const bool tf32 = call.compute == CUBLAS_COMPUTE_32F_FAST_TF32 ||
                    (mode == CUBLAS_TF32_TENSOR_OP_MATH && call.compute == CUBLAS_COMPUTE_32F);
  Enqueue(call.handle->stream, call.name,
          [call, scalars, tf32, workspace = call.handle->workspace, bytes = call.handle->workspace_bytes] {
            Run(call, scalars, tf32, workspace, bytes);
            return cudaSuccess;
          });
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace lockstep::virtual_gpu::cublas

using lockstep::virtual_gpu::cublas::Start;

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                           int k, const float* alpha, const float* A, int lda, const float* B, int ldb,
                           const float* beta, float* C, int ldc) {
  return Start({"cublasSgemm",
                handle,
                transa,
                transb,
                m,
                n,
                k,
                alpha,
                {A, CUDA_R_32F, lda, 0},
                {B, CUDA_R_32F, ldb, 0},
                beta,
                {C, CUDA_R_32F, ldc, 0}});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                         int m, int n, int k, const float* alpha, const float* A, int lda,
                                         long long strideA, const float* B, int ldb, long long strideB,
                                         const float* beta, float* C, int ldc, long long strideC, int batchCount) {
  return Start({"cublasSgemmStridedBatched",
                handle,
                transa,
                transb,
                m,
                n,
                k,
                alpha,
                {A, CUDA_R_32F, lda, strideA},
                {B, CUDA_R_32F, ldb, strideB},
                beta,
                {C, CUDA_R_32F, ldc, strideC},
                batchCount});
}

cublasStatus_t cublasSgemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                             int k, const float* alpha, const void* A, cudaDataType Atype, int lda, const void* B,
                             cudaDataType Btype, int ldb, const float* beta, void* C, cudaDataType Ctype, int ldc) {
  return Start({"cublasSgemmEx",
                handle,
                transa,
                transb,
                m,
                n,
                k,
                alpha,
                {A, Atype, lda, 0},
                {B, Btype, ldb, 0},
                beta,
                {C, Ctype, ldc, 0}});
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                            int k, const void* alpha, const void* A, cudaDataType Atype, int lda, const void* B,
                            cudaDataType Btype, int ldb, const void* beta, void* C, cudaDataType Ctype, int ldc,
                            cublasComputeType_t computeType, cublasGemmAlgo_t algo) {
  return Start({"cublasGemmEx",
                handle,
                transa,
                transb,
                m,
                n,
                k,
                alpha,
                {A, Atype, lda, 0},
                {B, Btype, ldb, 0},
                beta,
                {C, Ctype, ldc, 0},
                1,
                computeType,
                algo});
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                          int m, int n, int k, const void* alpha, const void* A, cudaDataType Atype,
                                          int lda, long long strideA, const void* B, cudaDataType Btype, int ldb,
                                          long long strideB, const void* beta, void* C, cudaDataType Ctype, int ldc,
                                          long long strideC, int batchCount, cublasComputeType_t computeType,
                                          cublasGemmAlgo_t algo) {
  return Start({"cublasGemmStridedBatchedEx",
                handle,
                transa,
                transb,
                m,
                n,
                k,
                alpha,
                {A, Atype, lda, strideA},
                {B, Btype, ldb, strideB},
                beta,
                {C, Ctype, ldc, strideC},
                batchCount,
                computeType,
                algo});
}
