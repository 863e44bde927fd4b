#include "reference/virtual_gpu/cublas/finish.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <bit>

#include "reference/virtual_gpu/runtime/seen.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

constexpr std::int64_t kBlock = 64;  // elements finished at a time

// e^x for x in [-104, 88] within 2 units in the last place, 0 and infinity beyond; NaN stays. x = n ln 2 + r with
// |r| <= ln 2 / 2, e^r by the polynomial of Cephes's expf, 2^n in two factors so that neither overflows alone.
float Exp(float x) {
  x = x < -105.0f ? -105.0f : x;
  x = x > 89.0f ? 89.0f : x;
  const float n = __builtin_rintf(x * 1.44269504088896341f);
  float r = n * -0.693359375f + x;
  r = n * 2.12194440e-4f + r;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const auto whole = static_cast<std::int32_t>(n);
  const std::int32_t half = whole >> 1;
  return p * std::bit_cast<float>((half + 127) << 23) * std::bit_cast<float>((whole - half + 127) << 23);
}

// gelu(x) = x/2 (1 + tanh(u)) = x / (1 + e^(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3)
float Gelu(float x) {
  const float exponent = -2.0f * 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return x / (1.0f + Exp(exponent > 80.0f ? 80.0f : exponent));  // e^80: large enough, and finite
}

float Relu(float x) { return x <= 0.0f ? 0.0f : x; }  // NaN stays

// One column's `count` elements from first_row on.
template <typename T>
void FinishColumn(const Product& product, std::int64_t first_row, std::int64_t count, std::int64_t column,
                  const float* sums, std::int64_t stride) {
  const Epilogue& epilogue = product.epilogue;
  const std::int64_t bytes = count * SizeOf(product.element);
  const float alpha = product.alpha, beta = product.beta;
  float u[kBlock];
  for (std::int64_t i = 0; i < count; ++i) u[i] = alpha * sums[i * stride];
  if (beta != 0) {
    const T* const c = static_cast<const T*>(product.c) + column * product.leading_c + first_row;
    SeeRead(c, bytes);
    for (std::int64_t i = 0; i < count; ++i) u[i] += beta * static_cast<float>(c[i]);
  }
  if (epilogue.bias != nullptr) {
    const T* const bias = static_cast<const T*>(epilogue.bias) + first_row;
    SeeRead(bias, bytes);
    for (std::int64_t i = 0; i < count; ++i) u[i] += static_cast<float>(bias[i]);
  }
  if (epilogue.aux != nullptr) {
    T* const aux = static_cast<T*>(epilogue.aux) + column * epilogue.leading_aux + first_row;
    SeeWrite(aux, bytes);
    for (std::int64_t i = 0; i < count; ++i) aux[i] = u[i];
  }
  if (epilogue.activation == Activation::kRelu) {
    for (std::int64_t i = 0; i < count; ++i) u[i] = Relu(u[i]);
  } else if (epilogue.activation == Activation::kGelu) {
    for (std::int64_t i = 0; i < count; ++i) u[i] = Gelu(u[i]);
  }
  T* const d = static_cast<T*>(product.d) + column * product.leading_d + first_row;
  SeeWrite(d, bytes);
  for (std::int64_t i = 0; i < count; ++i) d[i] = u[i];
}

template <typename T>
void FinishAs(const Product& product, const Sums& sums) {
  for (std::int64_t j = 0; j < sums.columns; ++j) {
    for (std::int64_t i = 0; i < sums.rows; i += kBlock) {
      FinishColumn<T>(product, sums.first_row + i, std::min(kBlock, sums.rows - i), sums.first_column + j,
                      sums.data + i * sums.row_stride + j * sums.column_stride, sums.row_stride);
    }
  }
}

// The most frequent case, without its branches: d = alpha sum.
void Store(const Product& product, const Sums& sums) {
  float* d = static_cast<float*>(product.d) + sums.first_column * product.leading_d + sums.first_row;
  const float alpha = product.alpha;
  for (std::int64_t j = 0; j < sums.columns; ++j, d += product.leading_d) {
    const float* const column = sums.data + j * sums.column_stride;
    SeeWrite(d, sums.rows * SizeOf(Element::kF32));
    if (sums.row_stride == 1) {
      for (std::int64_t i = 0; i < sums.rows; ++i) d[i] = alpha * column[i];
    } else {
      for (std::int64_t i = 0; i < sums.rows; ++i) d[i] = alpha * column[i * sums.row_stride];
    }
  }
}

}  // namespace

void Finish(const Product& product, const Sums& sums) {
  const Epilogue& epilogue = product.epilogue;
  if (product.element == Element::kBF16) {
    FinishAs<__nv_bfloat16>(product, sums);
  } else if (product.beta != 0 || epilogue.activation != Activation::kNone || epilogue.bias != nullptr ||
             epilogue.aux != nullptr) {
    FinishAs<float>(product, sums);
  } else {
    Store(product, sums);
  }
}

}  // namespace lockstep::virtual_gpu::cublas
