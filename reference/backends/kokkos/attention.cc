// Causal attention: for every sequence and head, blocks of queries against all keys up to the block's end.
//
// The scores of a block are computed again in the backward from each row's largest score and sum of exponentials, which
// are all that the forward saves; so memory grows with the length, not with its square. Each (sequence, head) is one
// thread's work and its order is fixed.
#include <algorithm>
#include <cmath>

#include "reference/backends/kokkos/kokkos_device.h"
#include "reference/backends/kokkos/parallel.h"
#include "reference/backends/kokkos/vector_math.h"

namespace lockstep::backends::kokkos {
namespace {

using device::AttentionShape;
using device::Element;

constexpr std::int64_t kQueries = 64;  // a block; half of it is computed in vain on average

// Floats that one thread works in.
struct Scratch {
  float* scores;      // (kQueries, length): p
  float* gradients;   // (kQueries, length): d_p, then d_s; backward only
  float* rounded[4];  // (length, width) each: q, k, v, d_out; bf16 only
};

struct ScratchLayout {
  ScratchLayout(const AttentionShape& shape, Element element, bool backward)
      : block(std::min(kQueries, shape.length) * shape.length),
        whole(element == Element::kBF16 ? shape.length * shape.width : 0),
        blocks(backward ? 2 : 1),
        wholes(backward ? 4 : 3) {}
  std::int64_t floats() const { return (blocks * block + wholes * whole + 15) / 16 * 16; }
  Scratch At(float* base) const {
    Scratch scratch{base, base + block, {}};
    for (std::int64_t i = 0; i < wholes; ++i) scratch.rounded[i] = base + blocks * block + i * whole;
    return scratch;
  }
  std::int64_t block, whole, blocks, wholes;
};

// (length, width) of one head, rounded to bf16 and widened again where asked.
Operand<float> Input(const AttentionShape& shape, Element element, const float* x, std::int64_t leading,
                     float* rounded) {
  if (element == Element::kF32) return {x, leading, false};
  for (std::int64_t i = 0; i < shape.length; ++i) {
#pragma omp simd
    for (std::int64_t j = 0; j < shape.width; ++j) {
      rounded[i * shape.width + j] = WidenBF16(RoundToBF16(x[i * leading + j]));
    }
  }
  return {rounded, shape.width, false};
}

void RoundRow(std::int64_t n, float* x) {
#pragma omp simd
  for (std::int64_t j = 0; j < n; ++j) x[j] = WidenBF16(RoundToBF16(x[j]));
}

Operand<float> Transposed(Operand<float> x) { return {x.data, x.leading, !x.transposed}; }

// What one head's block of queries needs.
struct Head {
  Operand<float> q, k, v;
  float scale;
  float* largest;  // (length)
  float* sum;      // (length)
};

Head HeadAt(const AttentionShape& shape, Element element, std::int64_t sequence, std::int64_t head, const float* qkv,
            float* saved, const Scratch& scratch) {
  const std::int64_t features = shape.heads * shape.width, leading = 3 * features;
  const float* const base = qkv + sequence * shape.length * leading + head * shape.width;
  float* const rows = saved + (sequence * shape.heads + head) * 2 * shape.length;
  return {Input(shape, element, base, leading, scratch.rounded[0]),
          Input(shape, element, base + features, leading, scratch.rounded[1]),
          Input(shape, element, base + 2 * features, leading, scratch.rounded[2]),
          1.0f / std::sqrt(static_cast<float>(shape.width)),
          rows,
          rows + shape.length};
}

// s = scale q k^T of queries first .. first + rows against keys 0 .. first + rows
void Scores(const Head& head, std::int64_t width, std::int64_t first, std::int64_t rows, float* s) {
  const std::int64_t keys = first + rows;
  MultiplyF32(rows, keys, width, head.scale, head.q.FromRow(first), Transposed(head.k), false, s, keys);
}

// p = exp(s - largest) / sum over keys up to the row's own; 0 behind it
void Probabilities(const Head& head, std::int64_t first, std::int64_t rows, bool find, float* s) {
  const std::int64_t keys = first + rows;
  for (std::int64_t i = 0; i < rows; ++i) {
    float* const row = s + i * keys;
    const std::int64_t seen = first + i + 1;
    float& largest = head.largest[first + i];
    float& sum = head.sum[first + i];
    if (find) largest = LargestOf(seen, row);
    const float shift = largest;
#pragma omp simd
    for (std::int64_t j = 0; j < seen; ++j) row[j] = Exp(row[j] - shift);
    if (find) sum = LaneSum<float>(seen, [=](std::int64_t j) { return row[j]; });
    const float factor = 1.0f / sum;
#pragma omp simd
    for (std::int64_t j = 0; j < seen; ++j) row[j] *= factor;
    std::fill(row + seen, row + keys, 0.0f);
  }
}

void ForwardHead(const AttentionShape& shape, Element element, const Head& head, const Scratch& scratch, float* out) {
  const std::int64_t leading = shape.heads * shape.width;
  for (std::int64_t first = 0; first < shape.length; first += kQueries) {
    const std::int64_t rows = std::min(kQueries, shape.length - first), keys = first + rows;
    Scores(head, shape.width, first, rows, scratch.scores);
    Probabilities(head, first, rows, true, scratch.scores);
    if (element == Element::kBF16) RoundRow(rows * keys, scratch.scores);
    MultiplyF32(rows, shape.width, keys, 1.0f, {scratch.scores, keys, false}, head.v, false, out + first * leading,
                leading);
  }
}

// d_s = p (d_p - sum_j p d_p), in place of d_p
void ScoreGradients(std::int64_t first, std::int64_t rows, const float* p, float* d_p) {
  const std::int64_t keys = first + rows;
  for (std::int64_t i = 0; i < rows; ++i) {
    const float* const p_row = p + i * keys;
    float* const row = d_p + i * keys;
    const float mean = LaneSum<float>(first + i + 1, [=](std::int64_t j) { return p_row[j] * row[j]; });
#pragma omp simd
    for (std::int64_t j = 0; j < keys; ++j) row[j] = p_row[j] * (row[j] - mean);
  }
}

void BackwardHead(const AttentionShape& shape, Element element, const Head& head, const Operand<float>& d_out,
                  const Scratch& scratch, float* d_q, float* d_k, float* d_v) {
  const std::int64_t leading = 3 * shape.heads * shape.width, width = shape.width;
  for (std::int64_t i = 0; i < shape.length; ++i) {
    std::fill_n(d_k + i * leading, width, 0.0f);
    std::fill_n(d_v + i * leading, width, 0.0f);
  }
  for (std::int64_t first = 0; first < shape.length; first += kQueries) {
    const std::int64_t rows = std::min(kQueries, shape.length - first), keys = first + rows;
    float* const p = scratch.scores;
    float* const d_s = scratch.gradients;
    Scores(head, width, first, rows, p);
    Probabilities(head, first, rows, false, p);
    MultiplyF32(rows, keys, width, 1.0f, d_out.FromRow(first), Transposed(head.v), false, d_s, keys);
    ScoreGradients(first, rows, p, d_s);
    if (element == Element::kBF16) {
      RoundRow(rows * keys, p);
      RoundRow(rows * keys, d_s);
    }
    MultiplyF32(keys, width, rows, 1.0f, {p, keys, true}, d_out.FromRow(first), true, d_v, leading);
    MultiplyF32(rows, width, keys, head.scale, {d_s, keys, false}, head.k, false, d_q + first * leading, leading);
    MultiplyF32(keys, width, rows, head.scale, {d_s, keys, true}, head.q.FromRow(first), true, d_k, leading);
  }
}

// body(sequence, head, scratch) for every sequence and head, on as many threads as there are.
template <typename Body>
void ForHeads(const AttentionShape& shape, const ScratchLayout& layout, float* workspace, std::int64_t threads,
              const Body& body) {
  const std::int64_t heads = shape.batch * shape.heads;
  const std::int64_t share = BlockCount(heads, threads);
  ForBlocks(heads, share, [&](std::int64_t begin, std::int64_t end) {
    const Scratch scratch = layout.At(workspace + begin / share * layout.floats());
    for (std::int64_t at = begin; at < end; ++at) body(at / shape.heads, at % shape.heads, scratch);
  });
}

bool Empty(const AttentionShape& shape) {
  return shape.batch == 0 || shape.length == 0 || shape.heads == 0 || shape.width == 0;
}

}  // namespace

std::int64_t KokkosDevice::AttentionSaved(const AttentionShape& shape) const {
  return 2 * shape.batch * shape.heads * shape.length;
}

void KokkosDevice::AttentionForward(const AttentionShape& shape, Element element, const float* qkv, float* out,
                                    float* saved) {
  if (Empty(shape)) return;
  const ScratchLayout layout(shape, element, false);
  const std::int64_t threads = std::min<std::int64_t>(Space().concurrency(), shape.batch * shape.heads);
  const device::Buffer workspace =
      Allocate(static_cast<std::size_t>(threads * layout.floats()) * sizeof(float), device::Category::kWorkspace);
  ForHeads(shape, layout, workspace.f32(), threads,
           [&](std::int64_t sequence, std::int64_t at, const Scratch& scratch) {
             const Head head = HeadAt(shape, element, sequence, at, qkv, saved, scratch);
             const std::int64_t offset = sequence * shape.length * shape.heads * shape.width + at * shape.width;
             ForwardHead(shape, element, head, scratch, out + offset);
           });
}

void KokkosDevice::AttentionBackward(const AttentionShape& shape, Element element, const float* qkv, const float*,
                                     const float* saved, const float* d_out, float* d_qkv) {
  if (Empty(shape)) return;
  const ScratchLayout layout(shape, element, true);
  const std::int64_t threads = std::min<std::int64_t>(Space().concurrency(), shape.batch * shape.heads);
  const device::Buffer workspace =
      Allocate(static_cast<std::size_t>(threads * layout.floats()) * sizeof(float), device::Category::kWorkspace);
  const std::int64_t features = shape.heads * shape.width;
  ForHeads(shape, layout, workspace.f32(), threads,
           [&](std::int64_t sequence, std::int64_t at, const Scratch& scratch) {
             // Only the forward (find) writes to what is saved.
             const Head head = HeadAt(shape, element, sequence, at, qkv, const_cast<float*>(saved), scratch);
             const std::int64_t row = sequence * shape.length;
             const Operand<float> d_o =
                 Input(shape, element, d_out + row * features + at * shape.width, features, scratch.rounded[3]);
             float* const d_q = d_qkv + row * 3 * features + at * shape.width;
             BackwardHead(shape, element, head, d_o, scratch, d_q, d_q + features, d_q + 2 * features);
           });
}

}  // namespace lockstep::backends::kokkos
