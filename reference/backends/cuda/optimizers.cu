// Optimizer steps over n fp32 elements: each is one pass over gradient, state and parameter.
#include <cmath>

#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/streams.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

// g' = g + weight_decay p;  p -= rate g';  4 operations
struct Sgd {
  float rate, weight_decay;
  __device__ void operator()(const float (&in)[2], float (&out)[1]) const {
    const float g = in[0], p = in[1];
    out[0] = p - rate * (g + weight_decay * p);
  }
};

// g' = g + weight_decay p;  v = momentum v + g';  p -= rate v;  6 operations
struct Momentum {
  float rate, momentum, weight_decay;
  __device__ void operator()(const float (&in)[3], float (&out)[2]) const {
    const float g = in[0], v = in[1], p = in[2];
    out[0] = momentum * v + (g + weight_decay * p);
    out[1] = p - rate * out[0];
  }
};

// p -= rate weight_decay p;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
// p -= rate (m / correction1) / (sqrt(v / correction2) + epsilon);  18 operations
struct AdamW {
  float rate, beta1, beta2, epsilon, weight_decay, correction1, correction2;
  __device__ void operator()(const float (&in)[4], float (&out)[3]) const {
    const float g = in[0], p = in[3];
    const float m = beta1 * in[1] + (1.0f - beta1) * g;
    const float v = beta2 * in[2] + (1.0f - beta2) * (g * g);
    const float decayed = p - rate * weight_decay * p;
    out[0] = m;
    out[1] = v;
    out[2] = decayed - rate * ((m / correction1) / (sqrtf(v / correction2) + epsilon));
  }
};

}  // namespace kernels

void CudaDevice::SgdStep(std::int64_t n, float rate, float weight_decay, const float* g, float* p) {
  const Range range("sgd");
  OverStreams(stream(), n, kernels::Sgd{rate, weight_decay}, {g, p}, {p});
}

void CudaDevice::MomentumStep(std::int64_t n, float rate, float momentum, float weight_decay, const float* g, float* v,
                              float* p) {
  const Range range("momentum");
  OverStreams(stream(), n, kernels::Momentum{rate, momentum, weight_decay}, {g, v, p}, {v, p});
}

void CudaDevice::AdamWStep(std::int64_t n, float rate, float beta1, float beta2, float epsilon, float weight_decay,
                           float correction1, float correction2, const float* g, float* m, float* v, float* p) {
  const Range range("adamw");
  OverStreams(stream(), n, kernels::AdamW{rate, beta1, beta2, epsilon, weight_decay, correction1, correction2},
              {g, m, v, p}, {m, v, p});
}

}  // namespace lockstep::backends::cuda
