#include "reference/virtual_gpu/cublas/lt_descriptions.h"

#include <cstring>

#include "reference/virtual_gpu/cublas/handle.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

constexpr std::uint64_t kAlive = 0x6c74616c6976656c;

struct Field {
  void* data = nullptr;  // nullptr: no such attribute
  std::size_t bytes = 0;
};

template <typename T>
Field FieldOf(T& value) {
  return {&value, sizeof value};
}

Field Find(cublasLtMatmulDescription& of, cublasLtMatmulDescAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
      return FieldOf(of.compute);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
      return FieldOf(of.scale);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      return FieldOf(of.pointer_mode);
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return FieldOf(of.transa);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return FieldOf(of.transb);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return FieldOf(of.epilogue);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return FieldOf(of.bias);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
      return FieldOf(of.bias_stride);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return FieldOf(of.aux);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return FieldOf(of.aux_leading);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE:
      return FieldOf(of.aux_stride);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE:
      return FieldOf(of.aux_type);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return FieldOf(of.bias_type);
  }
  return {};
}

Field Find(cublasLtMatrixDescription& of, cublasLtMatrixLayoutAttribute_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
      return FieldOf(of.type);
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
      return FieldOf(of.order);
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
      return FieldOf(of.rows);
    case CUBLASLT_MATRIX_LAYOUT_COLS:
      return FieldOf(of.columns);
    case CUBLASLT_MATRIX_LAYOUT_LD:
      return FieldOf(of.leading);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return FieldOf(of.batch);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return FieldOf(of.stride);
  }
  return {};
}

Field Find(cublasLtPreferenceDescription& of, cublasLtMatmulPreferenceAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return FieldOf(of.workspace_bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return FieldOf(of.alignment_a);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return FieldOf(of.alignment_b);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return FieldOf(of.alignment_c);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return FieldOf(of.alignment_d);
  }
  return {};
}

template <typename T, typename Attribute>
cublasStatus_t Set(const char* call, T* of, Attribute attribute, const void* value, std::size_t bytes) {
  if (of == nullptr || value == nullptr) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "the %s is null", of == nullptr ? "description" : "value");
  }
  const Field field = Find(*of, attribute);
  if (field.data == nullptr) {
    return Refuse(CUBLAS_STATUS_NOT_SUPPORTED, call, "attribute %d is not covered", static_cast<int>(attribute));
  }
  if (field.bytes != bytes) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "attribute %d has %zu bytes, not %zu", static_cast<int>(attribute),
                  field.bytes, bytes);
  }
  std::memcpy(field.data, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T, typename Attribute>
cublasStatus_t Get(const char* call, T* of, Attribute attribute, void* value, std::size_t bytes, std::size_t* written) {
  const Field field = of == nullptr ? Field{} : Find(*of, attribute);
  if (field.data == nullptr) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "attribute %d is not covered, or the description is null",
                  static_cast<int>(attribute));
  }
  if (bytes == 0 ? written == nullptr : value == nullptr || bytes != field.bytes) {
    return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "attribute %d has %zu bytes: no room for them",
                  static_cast<int>(attribute), field.bytes);
  }
  if (bytes > 0) std::memcpy(value, field.data, bytes);
  if (written != nullptr) *written = field.bytes;
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T>
cublasStatus_t Give(const char* call, T** where, const T& made) {
  if (where == nullptr) return Refuse(CUBLAS_STATUS_INVALID_VALUE, call, "there is no place for the result");
  *where = new T(made);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename T>
cublasStatus_t Destroy(T* made) {
  delete made;
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace
}  // namespace lockstep::virtual_gpu::cublas

using lockstep::virtual_gpu::cublas::Destroy;
using lockstep::virtual_gpu::cublas::Get;
using lockstep::virtual_gpu::cublas::Give;
using lockstep::virtual_gpu::cublas::Refuse;
using lockstep::virtual_gpu::cublas::Set;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  return Give("cublasLtCreate", handle, cublasLtContext{lockstep::virtual_gpu::cublas::kAlive});
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  if (handle == nullptr) return Refuse(CUBLAS_STATUS_NOT_INITIALIZED, "cublasLtDestroy", "the handle is null");
  return Destroy(handle);
}

std::size_t cublasLtGetVersion() { return CUBLAS_VERSION; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* description, cublasComputeType_t computeType,
                                        cudaDataType_t scaleType) {
  cublasLtMatmulDescription made{};
  made.compute = computeType;
  made.scale = scaleType;
  return Give("cublasLtMatmulDescCreate", description, made);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) { return Destroy(description); }

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  return Set("cublasLtMatmulDescSetAttribute", description, attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, void* value, std::size_t bytes,
                                              std::size_t* written) {
  return Get("cublasLtMatmulDescGetAttribute", description, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, std::uint64_t rows,
                                          std::uint64_t cols, std::int64_t ld) {
  cublasLtMatrixDescription made{};
  made.type = type;
  made.rows = rows;
  made.columns = cols;
  made.leading = ld;
  return Give("cublasLtMatrixLayoutCreate", layout, made);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { return Destroy(layout); }

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  return Set("cublasLtMatrixLayoutSetAttribute", layout, attribute, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute, void* value,
                                                std::size_t bytes, std::size_t* written) {
  return Get("cublasLtMatrixLayoutGetAttribute", layout, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return Give("cublasLtMatmulPreferenceCreate", preference, cublasLtPreferenceDescription{});
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) { return Destroy(preference); }

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    std::size_t bytes) {
  return Set("cublasLtMatmulPreferenceSetAttribute", preference, attribute, value, bytes);
}
