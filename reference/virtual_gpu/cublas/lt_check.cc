#include "reference/virtual_gpu/cublas/lt_check.h"

#include "reference/virtual_gpu/cublas/handle.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

struct Named {
  const char* name;
  const cublasLtMatrixDescription* matrix;
};

std::string Shape(std::uint64_t rows, std::uint64_t columns) {
  return std::to_string(rows) + " by " + std::to_string(columns);
}

cublasStatus_t CheckLayout(const Named& of, std::string& why) {
  const cublasLtMatrixDescription& matrix = *of.matrix;
  const std::string name = of.name;
  if (matrix.order != CUBLASLT_ORDER_COL) {
    why = name + ": order " + std::to_string(matrix.order) + " is not covered, CUBLASLT_ORDER_COL is";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (matrix.rows == 0 || matrix.columns == 0 || matrix.batch < 1) {
    why = name + " is empty: " + Shape(matrix.rows, matrix.columns) + ", " + std::to_string(matrix.batch) + " times";
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (matrix.leading < static_cast<std::int64_t>(matrix.rows)) {
    why = name + "'s leading dimension is " + std::to_string(matrix.leading) + ", at least " +
          std::to_string(matrix.rows) + " is needed";
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CheckShapes(const LtDescriptions& of, std::string& why) {
  const bool transa = of.product->transa != CUBLAS_OP_N, transb = of.product->transb != CUBLAS_OP_N;
  const std::uint64_t m = of.d->rows, n = of.d->columns, k = transa ? of.a->rows : of.a->columns;
  const struct {
    const char* name;
    const cublasLtMatrixDescription* matrix;
    std::uint64_t rows, columns;
  } expected[] = {
      {"A", of.a, transa ? k : m, transa ? m : k}, {"B", of.b, transb ? n : k, transb ? k : n}, {"C", of.c, m, n}};
  for (const auto& each : expected) {
    if (each.matrix->rows != each.rows || each.matrix->columns != each.columns) {
      why = std::string(each.name) + " is " + Shape(each.matrix->rows, each.matrix->columns) + ", " +
            Shape(each.rows, each.columns) + " is needed for D " + Shape(m, n);
      return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (each.matrix->batch != of.d->batch) {
      why = std::string(each.name) + "'s batch count is " + std::to_string(each.matrix->batch) + ", D's " +
            std::to_string(of.d->batch);
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CheckTypes(const LtDescriptions& of, std::string& why) {
  const std::uint32_t a = of.a->type, b = of.b->type, c = of.c->type, d = of.d->type;
  const bool inputs = a == b && (a == CUDA_R_32F || a == CUDA_R_16BF);
  if (!inputs || c != d || (d != CUDA_R_32F && (d != CUDA_R_16BF || a != CUDA_R_16BF))) {
    why = std::string("A ") + TypeName(static_cast<int>(a)) + ", B " + TypeName(static_cast<int>(b)) + ", C " +
          TypeName(static_cast<int>(c)) + ", D " + TypeName(static_cast<int>(d)) + " is not covered";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  const std::int32_t compute = of.product->compute;
  if (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC &&
      compute != CUBLAS_COMPUTE_32F_FAST_TF32) {
    why = "compute type " + std::to_string(compute) + " is not covered";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (of.product->scale != CUDA_R_32F) {
    why = std::string("scale type ") + TypeName(of.product->scale) + " is not covered, CUDA_R_32F is";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CheckExtraType(const char* name, std::int32_t type, std::uint32_t type_of_d, std::string& why) {
  if (type == -1 || type == static_cast<std::int32_t>(type_of_d)) return CUBLAS_STATUS_SUCCESS;
  why = std::string(name) + " is " + TypeName(type) + ", D's type is needed";
  return CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t CheckEpilogue(const LtDescriptions& of, std::string& why) {
  const cublasLtMatmulDescription& product = *of.product;
  switch (product.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_AUX:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
      break;
    default:
      why = "epilogue " + std::to_string(product.epilogue) + " is not covered";
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (HasBias(product.epilogue) || HasBiasGradient(product.epilogue)) {
    if (const auto status = CheckExtraType("the bias", product.bias_type, of.d->type, why)) return status;
  }
  if (HasBiasGradient(product.epilogue) && of.d->batch > 1) {
    why = "a bias gradient of a batch is not covered";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (!HasAux(product.epilogue)) return CUBLAS_STATUS_SUCCESS;
  if (const auto status = CheckExtraType("the auxiliary matrix", product.aux_type, of.d->type, why)) return status;
  constexpr std::int64_t kMultiple = 8;
  if (product.aux_leading % kMultiple != 0 || product.aux_leading < static_cast<std::int64_t>(of.d->rows)) {
    why = "the auxiliary matrix's leading dimension is " + std::to_string(product.aux_leading) +
          ", a multiple of 8 and at least " + std::to_string(of.d->rows) + " is needed";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  if (of.d->batch > 1 && product.aux_stride % kMultiple != 0) {
    why = "the auxiliary matrix's batch stride is " + std::to_string(product.aux_stride) + ", no multiple of 8";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

bool HasBias(std::uint32_t epilogue) { return (epilogue & CUBLASLT_EPILOGUE_BIAS) != 0; }
bool HasAux(std::uint32_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_GELU_AUX || epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
}
bool HasBiasGradient(std::uint32_t epilogue) {
  return epilogue == CUBLASLT_EPILOGUE_BGRADA || epilogue == CUBLASLT_EPILOGUE_BGRADB;
}

cublasStatus_t Check(const LtDescriptions& of, std::string& why) {
  if (of.product == nullptr || of.a == nullptr || of.b == nullptr || of.c == nullptr || of.d == nullptr) {
    why = "a description is null";
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  for (const std::int32_t operation : {of.product->transa, of.product->transb}) {
    if (operation < CUBLAS_OP_N || operation > CUBLAS_OP_C) {
      why = "operation " + std::to_string(operation) + " is none of CUBLAS_OP_N, _T, _C";
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  const std::int32_t mode = of.product->pointer_mode;
  if (mode != CUBLASLT_POINTER_MODE_HOST && mode != CUBLASLT_POINTER_MODE_DEVICE) {
    why = "pointer mode " + std::to_string(mode) + " is not covered";
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  for (const Named& each : {Named{"A", of.a}, Named{"B", of.b}, Named{"C", of.c}, Named{"D", of.d}}) {
    if (const auto status = CheckLayout(each, why)) return status;
  }
  if (const auto status = CheckTypes(of, why)) return status;
  if (const auto status = CheckShapes(of, why)) return status;
  return CheckEpilogue(of, why);
}

}  // namespace lockstep::virtual_gpu::cublas
