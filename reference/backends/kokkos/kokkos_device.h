// device::Device on the host: kernels in Kokkos, matrix products by oneDNN, memory from an arena.
//
// Every operation has ended when its call returns, so the compute stream is the program's own order. Kernels cut their
// work into fixed blocks (parallel.h), products into fixed tiles (products.h): bytes do not depend on the threads.
// Implemented over several files, one a group of operations.
#pragma once

#include "reference/backends/kokkos/memory.h"
#include "reference/backends/kokkos/products.h"
#include "reference/device/arena.h"
#include "reference/device/device.h"

namespace lockstep::backends::kokkos {

class KokkosDevice final : public device::Device {
 public:
  KokkosDevice(std::int64_t memory_capacity_bytes, int ordinal);

  // kokkos_device.cc
  device::DeviceInfo Info() const override;
  device::Buffer Allocate(std::size_t bytes, device::Category category) override;
  void Free(void* data, std::size_t bytes, device::Category category) override;
  const device::MemoryUse& Memory() const override { return ledger_.use(); }
  void ToDevice(void* target, const void* host_source, std::size_t bytes) override;
  void ToHost(void* host_target, const void* source, std::size_t bytes) override;
  void Copy(void* target, const void* source, std::size_t bytes) override;
  void Zero(void* target, std::size_t bytes) override;
  void Synchronize() override {}

  // multiply.cc
  void Multiply(const device::Gemm& gemm) override;

  // attention.cc
  std::int64_t AttentionSaved(const device::AttentionShape& shape) const override;
  void AttentionForward(const device::AttentionShape& shape, device::Element element, const float* qkv, float* out,
                        float* saved) override;
  void AttentionBackward(const device::AttentionShape& shape, device::Element element, const float* qkv,
                         const float* out, const float* saved, const float* d_out, float* d_qkv) override;

  // rows.cc
  void LayerNormForward(std::int64_t rows, std::int64_t width, const float* x, const float* weight, const float* bias,
                        float* y, float* mean, float* rstd) override;
  void LayerNormBackward(std::int64_t rows, std::int64_t width, const float* x, const float* weight, const float* mean,
                         const float* rstd, const float* d_y, float* d_x, bool accumulate_x, float* d_weight,
                         float* d_bias) override;
  void BiasBackward(std::int64_t rows, std::int64_t width, const float* d_y, float* d_bias) override;
  void AddBias(std::int64_t rows, std::int64_t width, const float* bias, float* x) override;
  void Dropout(std::int64_t rows, std::int64_t width, float probability, const std::uint64_t* row_keys, const float* x,
               float* y) override;
  void EmbeddingForward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens, std::int64_t first,
                        std::int64_t count, const float* table, float* y) override;
  void EmbeddingBackward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens, std::int64_t first,
                         std::int64_t count, const float* d_y, float* d_table) override;

  // loss.cc
  void RowMax(std::int64_t rows, std::int64_t count, const float* logits, float* row_max) override;
  void RowSumExp(std::int64_t rows, std::int64_t count, std::int64_t first, const float* logits, const float* row_max,
                 const std::int32_t* targets, float* sum_exp, float* target_logit) override;
  void CrossEntropyLoss(std::int64_t rows, const float* row_max, const float* sum_exp, const float* target_logit,
                        const std::int32_t* targets, float* losses) override;
  void CrossEntropyBackward(std::int64_t rows, std::int64_t count, std::int64_t first, float* logits,
                            const float* row_max, const float* sum_exp, const std::int32_t* targets,
                            float scale) override;
  void SquaredError(std::int64_t rows, std::int64_t width, const float* y, const float* target, const float* valid,
                    float scale, float* losses, float* d_y) override;

  // elementwise.cc
  void ReluBackward(std::int64_t n, const float* before, const float* d_y, float* d_x) override;
  void GeluForward(std::int64_t n, const float* x, float* y) override;
  void GeluBackward(std::int64_t n, const float* before, const float* d_y, float* d_x) override;
  void Add(std::int64_t n, const float* a, const float* b, float* y) override;
  void Scale(std::int64_t n, float factor, float* x) override;
  void ToBF16(std::int64_t n, const float* x, std::uint16_t* y) override;
  void FromBF16(std::int64_t n, const std::uint16_t* x, float* y) override;
  double SumOfSquares(std::int64_t n, const float* x) override;
  double Sum(std::int64_t n, const float* x) override;

  // optimizers.cc
  void SgdStep(std::int64_t n, float rate, float weight_decay, const float* g, float* p) override;
  void MomentumStep(std::int64_t n, float rate, float momentum, float weight_decay, const float* g, float* v,
                    float* p) override;
  void AdamWStep(std::int64_t n, float rate, float beta1, float beta2, float epsilon, float weight_decay,
                 float correction1, float correction2, const float* g, float* m, float* v, float* p) override;

 private:
  Operand<float> Widen(const Operand<std::uint16_t>& narrow, std::int64_t rows, std::int64_t columns,
                       device::Buffer& wide);

  int ordinal_;
  device::MemoryLedger ledger_;
  device::Arena<HostBlocks> arena_;
  BF16Products bf16_products_;
};

}  // namespace lockstep::backends::kokkos
