#include <cmath>

#include "reference/backends/kokkos/kokkos_device.h"
#include "reference/backends/kokkos/parallel.h"

namespace lockstep::backends::kokkos {

// g' = g + weight_decay p;  p -= rate g'
void KokkosDevice::SgdStep(std::int64_t n, float rate, float weight_decay, const float* g, float* p) {
  ForElements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) p[i] -= rate * (g[i] + weight_decay * p[i]);
  });
}

// g' = g + weight_decay p;  v = momentum v + g';  p -= rate v
void KokkosDevice::MomentumStep(std::int64_t n, float rate, float momentum, float weight_decay, const float* g,
                                float* v, float* p) {
  ForElements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      v[i] = momentum * v[i] + (g[i] + weight_decay * p[i]);
      p[i] -= rate * v[i];
    }
  });
}

// p -= rate weight_decay p;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
// p -= rate (m / correction1) / (sqrt(v / correction2) + epsilon)
void KokkosDevice::AdamWStep(std::int64_t n, float rate, float beta1, float beta2, float epsilon, float weight_decay,
                             float correction1, float correction2, const float* g, float* m, float* v, float* p) {
  ForElements(n, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      m[i] = beta1 * m[i] + (1.0f - beta1) * g[i];
      v[i] = beta2 * v[i] + (1.0f - beta2) * (g[i] * g[i]);
      const float decayed = p[i] - rate * weight_decay * p[i];
      p[i] = decayed - rate * ((m[i] / correction1) / (std::sqrt(v[i] / correction2) + epsilon));
    }
  });
}

}  // namespace lockstep::backends::kokkos
