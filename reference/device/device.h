// What a backend computes: memory and the operations of a training step, on one device.
//
// All pointers are device pointers; matrices are row-major and contiguous unless a leading dimension is given.
// Operations are enqueued on one compute stream, in order; the host sees a result only through ToHost or Synchronize.
// Every operation is deterministic: the same inputs and shapes give the same bytes, whatever ran before, with any
// number of threads. A result element must not depend on how many rows are computed together with it, but for Gemm's K.
// Each declaration opens with the plain loop that says what is computed. Sizes may be 0: nothing happens.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "reference/device/memory.h"

namespace lockstep::device {

enum class Element { kF32, kBF16 };  // type of a matrix product's inputs
enum class Epilogue { kNone, kBias, kBiasRelu, kBiasGelu };

struct Matrix {
  const void* data = nullptr;
  Element element = Element::kF32;
  bool transposed = false;   // stored as the transpose of what the product uses
  std::int64_t leading = 0;  // elements from row to row as stored; 0: contiguous
};

struct Gemm {
  std::int64_t m = 0, n = 0, k = 0;
  Matrix a = {}, b = {};       // (m, k), (k, n) as used; both of one element type
  float* c = nullptr;          // (m, n) fp32
  std::int64_t leading_c = 0;  // 0: n
  bool accumulate = false;     // c += instead of c =; only with Epilogue::kNone
  Epilogue epilogue = Epilogue::kNone;
  const float* bias = nullptr;         // (n)
  float* before_activation = nullptr;  // (m, n) optional: a b + bias, before relu or gelu
};

// Attention of `batch` sequences of `length` positions, `heads` heads of `width` features. Causal, scale 1/sqrt(width).
struct AttentionShape {
  std::int64_t batch = 0, length = 0, heads = 0, width = 0;
};

struct DeviceInfo {
  std::string kind;  // "host", "gpu", "virtual"
  std::string name;  // "AMD EPYC, Kokkos Serial"
  std::int64_t ordinal = 0;
  std::map<std::string, std::string> libraries;  // name -> version; how bf16 products are computed
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceInfo Info() const = 0;

  // --- Memory. Allocate throws OutOfMemory. Fresh memory is not initialised (0xFF bytes in debug builds).
  virtual Buffer Allocate(std::size_t bytes, Category category) = 0;
  virtual void Free(void* data, std::size_t bytes, Category category) = 0;  // called by Buffer
  virtual const MemoryUse& Memory() const = 0;
  virtual void ToDevice(void* target, const void* host_source,
                        std::size_t bytes) = 0;                                       // host memory reusable on return
  virtual void ToHost(void* host_target, const void* source, std::size_t bytes) = 0;  // complete on return
  virtual void Copy(void* target, const void* source, std::size_t bytes) = 0;         // device to device
  virtual void Zero(void* target, std::size_t bytes) = 0;
  virtual void Synchronize() = 0;  // host waits for all that was enqueued

  // --- Time. A mark is a point in the compute stream, enqueued like an operation; TimeOf says when the stream came to
  // it, in nanoseconds of the host's steady clock, once Synchronize has passed it. Each mark is asked for once at least
  // and in the step that made it. Where operations have ended when they return, as here, a mark is its own time.
  using Mark = std::int64_t;
  virtual Mark MarkTime() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
  virtual std::int64_t TimeOf(Mark mark) { return mark; }

  // --- Products.
  // for i, j: c[i][j] (+)= epilogue(sum_k a[i][k] b[k][j] + bias[j]); fp32 accumulation
  virtual void Multiply(const Gemm& gemm) = 0;
  // qkv (batch * length, 3, heads, width) -> out (batch * length, heads, width):
  //   s[i][j] = (q_i . k_j) / sqrt(width) for j <= i; p = softmax_j(s); out_i = sum_j p[i][j] v_j
  // saved: AttentionSaved(shape) floats that the backward needs. `element` kBF16 rounds q, k, v and p to bf16 first.
  virtual std::int64_t AttentionSaved(const AttentionShape& shape) const = 0;
  virtual void AttentionForward(const AttentionShape& shape, Element element, const float* qkv, float* out,
                                float* saved) = 0;
  virtual void AttentionBackward(const AttentionShape& shape, Element element, const float* qkv, const float* out,
                                 const float* saved, const float* d_out, float* d_qkv) = 0;

  // --- Rows: x is (rows, width).
  // y = (x - mean) * rstd * weight + bias; mean and 1/sqrt(variance + 1e-5) of each row are kept
  virtual void LayerNormForward(std::int64_t rows, std::int64_t width, const float* x, const float* weight,
                                const float* bias, float* y, float* mean, float* rstd) = 0;
  // d_x (+)= if accumulate_x; d_weight += , d_bias += (sums over rows, in row order; the sum is added, not each row)
  virtual void LayerNormBackward(std::int64_t rows, std::int64_t width, const float* x, const float* weight,
                                 const float* mean, const float* rstd, const float* d_y, float* d_x, bool accumulate_x,
                                 float* d_weight, float* d_bias) = 0;
  // d_bias[j] += sum_i d_y[i][j]; the sum is added, not each row
  virtual void BiasBackward(std::int64_t rows, std::int64_t width, const float* d_y, float* d_bias) = 0;
  // x[i][j] += bias[j]
  virtual void AddBias(std::int64_t rows, std::int64_t width, const float* bias, float* x) = 0;
  // keep[i][j] = DropoutUniform(row_keys[i], j) >= p; y = keep ? x / (1 - p) : 0 (harness/protocol/dropout.h); also its
  // own backward. x may equal y. row_keys (rows) on the device.
  virtual void Dropout(std::int64_t rows, std::int64_t width, float probability, const std::uint64_t* row_keys,
                       const float* x, float* y) = 0;

  // --- Embeddings. tokens (rows) are global ids; a table shard holds ids first .. first + count; others count as 0.
  // y[i] = table[tokens[i] - first]
  virtual void EmbeddingForward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens, std::int64_t first,
                                std::int64_t count, const float* table, float* y) = 0;
  // d_table[tokens[i] - first] += d_y[i], in row order
  virtual void EmbeddingBackward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens, std::int64_t first,
                                 std::int64_t count, const float* d_y, float* d_table) = 0;

  // --- Loss over rows; logits (rows, count) hold vocabulary ids first .. first + count. Target -1: not valid.
  // row_max[i] = max_j logits[i][j]  (-infinity when count is 0)
  virtual void RowMax(std::int64_t rows, std::int64_t count, const float* logits, float* row_max) = 0;
  // sum_exp[i] = sum_j exp(logits[i][j] - row_max[i]); target_logit[i] = logits[i][targets[i] - first] or 0 if not here
  virtual void RowSumExp(std::int64_t rows, std::int64_t count, std::int64_t first, const float* logits,
                         const float* row_max, const std::int32_t* targets, float* sum_exp, float* target_logit) = 0;
  // losses[i] = valid ? log(sum_exp[i]) + row_max[i] - target_logit[i] : 0
  virtual void CrossEntropyLoss(std::int64_t rows, const float* row_max, const float* sum_exp,
                                const float* target_logit, const std::int32_t* targets, float* losses) = 0;
  // logits[i][j] = valid ? scale * (exp(logits[i][j] - row_max[i]) / sum_exp[i] - (first + j == targets[i])) : 0
  virtual void CrossEntropyBackward(std::int64_t rows, std::int64_t count, std::int64_t first, float* logits,
                                    const float* row_max, const float* sum_exp, const std::int32_t* targets,
                                    float scale) = 0;
  // losses[i] = valid[i] * 1/2 sum_j (y - target)^2; d_y[i][j] = valid[i] * scale * (y[i][j] - target[i][j])
  virtual void SquaredError(std::int64_t rows, std::int64_t width, const float* y, const float* target,
                            const float* valid, float scale, float* losses, float* d_y) = 0;

  // --- Elementwise over n.
  virtual void ReluBackward(std::int64_t n, const float* before, const float* d_y,
                            float* d_x) = 0;                               // d_x = before > 0 ? d_y : 0
  virtual void GeluForward(std::int64_t n, const float* x, float* y) = 0;  // tanh approximation
  virtual void GeluBackward(std::int64_t n, const float* before, const float* d_y, float* d_x) = 0;
  virtual void Add(std::int64_t n, const float* a, const float* b, float* y) = 0;  // y = a + b; y may be a or b
  virtual void Scale(std::int64_t n, float factor, float* x) = 0;                  // x *= factor
  virtual void ToBF16(std::int64_t n, const float* x, std::uint16_t* y) = 0;       // nearest, ties to even
  virtual void FromBF16(std::int64_t n, const std::uint16_t* x, float* y) = 0;
  // Sum in fp64 in a fixed order of (double)x[i]^2, or of x[i]; complete on return (synchronizes).
  virtual double SumOfSquares(std::int64_t n, const float* x) = 0;
  virtual double Sum(std::int64_t n, const float* x) = 0;

  // --- Optimizers over n, fp32. g is the clipped gradient; formulas in PROTOCOL.md, "Optimizers".
  virtual void SgdStep(std::int64_t n, float rate, float weight_decay, const float* g, float* p) = 0;
  virtual void MomentumStep(std::int64_t n, float rate, float momentum, float weight_decay, const float* g, float* v,
                            float* p) = 0;
  virtual void AdamWStep(std::int64_t n, float rate, float beta1, float beta2, float epsilon, float weight_decay,
                         float correction1, float correction2, const float* g, float* m, float* v, float* p) = 0;
};

}  // namespace lockstep::device
