// What cublasLt accepts: a product's descriptions against each other, and what its epilogue asks for.
#pragma once

#include <string>

#include "reference/virtual_gpu/cublas/lt_descriptions.h"

namespace lockstep::virtual_gpu::cublas {

struct LtDescriptions {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr, d = nullptr;
};

// CUBLAS_STATUS_SUCCESS, INVALID_VALUE for what contradicts itself, or NOT_SUPPORTED for what no algorithm does; `why`
// says what and what would be right.
cublasStatus_t Check(const LtDescriptions& of, std::string& why);

bool HasBias(std::uint32_t epilogue);
bool HasAux(std::uint32_t epilogue);
bool HasBiasGradient(std::uint32_t epilogue);

}  // namespace lockstep::virtual_gpu::cublas
