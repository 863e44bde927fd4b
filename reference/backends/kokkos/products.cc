#include "reference/backends/kokkos/products.h"

#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace lockstep::backends::kokkos {
namespace {

// oneDNN would split a product over OpenMP's threads, and its sums with it.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int threads_;
};

}  // namespace

void MultiplyF32(std::int64_t m, std::int64_t n, std::int64_t k, float factor, const Operand<float>& a,
                 const Operand<float>& b, bool accumulate, float* c, std::int64_t leading_c) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::int64_t i = 0; i < m && !accumulate; ++i) std::fill_n(c + i * leading_c, n, 0.0f);
    return;
  }
  const OneThread one_thread;
  const dnnl_status_t status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, factor, a.data,
                                          a.leading, b.data, b.leading, accumulate ? 1.0f : 0.0f, c, leading_c);
  if (status != dnnl_success) throw std::runtime_error("oneDNN's sgemm failed: status " + std::to_string(status));
}

Products::Products() : native_bf16_(dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core_bf16) {}

}  // namespace lockstep::backends::kokkos
