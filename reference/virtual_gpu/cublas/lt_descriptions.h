// cublasLt's descriptions: plain values behind the opaque handles, set and read attribute by attribute.
#pragma once

#include <cublasLt.h>

struct cublasLtContext {
  std::uint64_t magic;
};

struct cublasLtMatmulDescription {
  std::int32_t compute, scale;
  std::int32_t pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transa = CUBLAS_OP_N, transb = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  std::int64_t bias_stride = 0;
  void* aux = nullptr;
  std::int64_t aux_leading = 0, aux_stride = 0;
  std::int32_t aux_type = -1, bias_type = -1;
};

struct cublasLtMatrixDescription {
  std::uint32_t type;
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::uint64_t rows, columns;
  std::int64_t leading;
  std::int32_t batch = 1;
  std::int64_t stride = 0;
};

struct cublasLtPreferenceDescription {
  std::uint64_t workspace_bytes = 0;
  std::uint32_t alignment_a = 256, alignment_b = 256, alignment_c = 256, alignment_d = 256;
};
