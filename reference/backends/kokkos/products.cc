#include "reference/backends/kokkos/products.h"

#include <dnnl.h>
#include <omp.h>

#include <algorithm>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>

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

void NothingToAdd(std::int64_t m, std::int64_t n, bool accumulate, float* c, std::int64_t leading_c) {
  for (std::int64_t i = 0; i < m && !accumulate; ++i) std::fill_n(c + i * leading_c, n, 0.0f);
}

}  // namespace

void MultiplyF32(std::int64_t m, std::int64_t n, std::int64_t k, float factor, const Operand<float>& a,
                 const Operand<float>& b, bool accumulate, float* c, std::int64_t leading_c) {
  if (m == 0 || n == 0) return;
  if (k == 0) return NothingToAdd(m, n, accumulate, c, leading_c);
  const OneThread one_thread;
  const dnnl_status_t status = dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', m, n, k, factor, a.data,
                                          a.leading, b.data, b.leading, accumulate ? 1.0f : 0.0f, c, leading_c);
  if (status != dnnl_success) throw std::runtime_error("oneDNN's sgemm failed: status " + std::to_string(status));
}

namespace {

using Memory = dnnl::memory;

// A product's shape, as oneDNN makes kernels for it.
using Shape =
    std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, bool, std::int64_t, bool, bool, std::int64_t>;

Memory::desc Describe(std::int64_t rows, std::int64_t columns, const Operand<std::uint16_t>& operand) {
  const Memory::dims strides = operand.transposed ? Memory::dims{1, operand.leading} : Memory::dims{operand.leading, 1};
  return {{rows, columns}, Memory::data_type::bf16, strides};
}

}  // namespace

struct BF16Products::Kernels {
  struct Kernel {
    Memory::desc a, b, c;
    dnnl::matmul run;
  };

  Kernel Make(std::int64_t m, std::int64_t n, std::int64_t k, const Operand<std::uint16_t>& a,
              const Operand<std::uint16_t>& b, bool accumulate, std::int64_t leading_c) const {
    Kernel kernel{
        Describe(m, k, a), Describe(k, n, b), {{m, n}, Memory::data_type::f32, Memory::dims{leading_c, 1}}, {}};
    dnnl::primitive_attr attributes;
    if (accumulate) {
      dnnl::post_ops add;
      add.append_sum(1.0f);
      attributes.set_post_ops(add);
    }
#if DNNL_VERSION_MAJOR >= 3
    kernel.run = dnnl::matmul({engine, kernel.a, kernel.b, kernel.c, attributes});
#else
    kernel.run = dnnl::matmul({{kernel.a, kernel.b, kernel.c}, attributes, engine});
#endif
    return kernel;
  }

  const dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::mutex mutex;
  std::map<Shape, Kernel> made;  // nodes stay where they are
};

BF16Products::BF16Products() : native_(dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core_bf16) {
  if (native_) kernels_ = std::make_unique<Kernels>();
}
BF16Products::~BF16Products() = default;

void BF16Products::Multiply(std::int64_t m, std::int64_t n, std::int64_t k, const Operand<std::uint16_t>& a,
                            const Operand<std::uint16_t>& b, bool accumulate, float* c, std::int64_t leading_c) {
  if (m == 0 || n == 0) return;
  if (k == 0) return NothingToAdd(m, n, accumulate, c, leading_c);
  const OneThread one_thread;  // while the kernel is made, too: oneDNN counts threads then
  const Shape shape{m, n, k, a.leading, a.transposed, b.leading, b.transposed, accumulate, leading_c};
  const Kernels::Kernel* kernel = nullptr;
  {
    const std::lock_guard lock(kernels_->mutex);
    auto found = kernels_->made.find(shape);
    if (found == kernels_->made.end()) {
      found = kernels_->made.emplace(shape, kernels_->Make(m, n, k, a, b, accumulate, leading_c)).first;
    }
    kernel = &found->second;
  }
  const auto at = [this](const Memory::desc& what, const void* data) {
    return Memory(what, kernels_->engine, const_cast<void*>(data));
  };
  dnnl::stream stream(kernels_->engine);
  kernel->run.execute(stream, {{DNNL_ARG_SRC, at(kernel->a, a.data)},
                               {DNNL_ARG_WEIGHTS, at(kernel->b, b.data)},
                               {DNNL_ARG_DST, at(kernel->c, c)}});
  stream.wait();
}

}  // namespace lockstep::backends::kokkos
