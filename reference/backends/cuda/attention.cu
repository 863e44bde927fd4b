// Causal attention: products of all heads strided-batched by cuBLAS, and between them one kernel that scales, masks and
// normalises; its backward likewise.
//
// Forward keeps each row's largest score and sum of exponentials, from which the backward computes the probabilities
// again: what is saved grows with the length, not with its square. Scores live in the workspace, for as many heads at a
// time as kScores allows, which shape alone decides.
#include <cmath>

#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/heads.cuh"
#include "reference/backends/cuda/range.h"

namespace lockstep::backends::cuda {
namespace kernels {

constexpr std::int64_t kVectorsEach = 4;

// Rows of scores: row r is query r % length of head r / length, and sees keys 0 .. r % length.
struct ScoreRows {
  std::int64_t heads, length, matrix;  // matrix: elements from head to head
  __host__ __device__ std::int64_t rows() const { return heads * length; }
  __device__ std::int64_t Place(std::int64_t r) const { return r / length * matrix + r % length * length; }
  // What is saved of row r: its largest score; `length` further on its sum.
  __device__ std::int64_t Saved(std::int64_t r) const { return r / length * 2 * length + r % length; }
};

__device__ inline float4 Masked(float4 value, std::int64_t j, std::int64_t seen, float fill) {
  return make_float4(j < seen ? value.x : fill, j + 1 < seen ? value.y : fill, j + 2 < seen ? value.z : fill,
                     j + 3 < seen ? value.w : fill);
}

// for r: s_j = scale scores[r][j]; largest = max_{j <= i} s_j; sum = sum_{j <= i} exp(s_j - largest)
//        for j: p[r][j] = j <= i ? exp(s_j - largest) / sum : 0
// reads 4 bytes an element, half of them (the rest from the cache), writes sizeof(T); 5 operations each. p may be
// scores.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    CausalSoftmax(ScoreRows order, float scale, float* scores, T* p, float* saved, bool aligned) {
  const std::int64_t r = RowOfThread(), length = order.length;
  const std::int64_t seen = r < order.rows() ? r % length + 1 : 0;
  float* const row = scores + (seen > 0 ? order.Place(r) : 0);
  const auto scaled = [scale](float value) { return scale * value; };
  float largest = -INFINITY;
  ForVectors(seen, [&](std::int64_t j) {
    const float4 s = Map(scaled, Load4Of(row, j, seen, aligned, 0));
    const float4 four = Masked(s, j, seen, -INFINITY);
    const Larger larger;
    largest = larger(largest, larger(larger(four.x, four.y), larger(four.z, four.w)));
  });
  largest = OverLanes(largest, Larger{});
  float sum = 0;
  ForVectors(seen, [&](std::int64_t j) {
    const auto exponential = [scale, largest](float value) { return expf(scale * value - largest); };
    const float4 e = Masked(Map(exponential, Load4Of(row, j, seen, aligned, 0)), j, seen, 0.0f);
    sum += SumOf(e);
    Store4Of(row, j, seen, e, aligned);
  });
  sum = OverLanes(sum, Plus{});
  if (seen == 0) return;
  if (threadIdx.x == 0) {
    saved[order.Saved(r)] = largest;
    saved[order.Saved(r) + length] = sum;
  }
  const float factor = 1.0f / sum;
  T* const out = p + order.Place(r);
  ForVectors(length, [&](std::int64_t j) {
    float4 value = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (j < seen) {
      value = Masked(Map([factor](float e) { return e * factor; }, Load4Of(row, j, length, aligned, 0)), j, seen, 0.0f);
    }
    StoreHead(out, j, length, value, aligned);
  });
}

// for r: for j <= i: p_j = exp(scale scores[r][j] - largest) / sum;  mean = sum_{j <= i} p_j d_p[r][j]
//        for j: p[r][j] = p_j or 0;  d_s[r][j] = p_j (d_p[r][j] - mean) or 0
// reads 8 bytes an element, half of them (again from the cache), writes 2 sizeof(T); 8 operations each
// p may be scores, d_s d_p.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    CausalSoftmaxBackward(ScoreRows order, float scale, const float* saved, float* scores, const float* d_p, T* p,
                          T* d_s, bool aligned) {
  const std::int64_t r = RowOfThread(), length = order.length;
  const std::int64_t seen = r < order.rows() ? r % length + 1 : 0;
  const std::int64_t place = seen > 0 ? order.Place(r) : 0;
  const float largest = seen > 0 ? saved[order.Saved(r)] : 0.0f;
  const float factor = 1.0f / (seen > 0 ? saved[order.Saved(r) + length] : 1.0f);
  float* const row = scores + place;
  const auto times = [](float a, float b) { return a * b; };
  float sum = 0;
  ForVectors(seen, [&](std::int64_t j) {
    const auto probability = [=](float value) { return expf(scale * value - largest) * factor; };
    const float4 four = Masked(Map(probability, Load4Of(row, j, seen, aligned, 0)), j, seen, 0.0f);
    sum += SumOf(Map(times, four, Load4Of(d_p + place, j, seen, aligned, 0)));
    Store4Of(row, j, seen, four, aligned);
  });
  const float mean = OverLanes(sum, Plus{});
  if (seen == 0) return;
  ForVectors(length, [&](std::int64_t j) {
    float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f), gradient = four;
    if (j < seen) {
      four = Masked(Load4Of(row, j, length, aligned, 0), j, seen, 0.0f);
      const auto of_score = [mean](float probability, float d) { return probability * (d - mean); };
      gradient = Masked(Map(of_score, four, Load4Of(d_p + place, j, length, aligned, 0)), j, seen, 0.0f);
    }
    StoreHead(p + place, j, length, four, aligned);
    StoreHead(d_s + place, j, length, gradient, aligned);
  });
}

// for r, j: x[r][j] = heads[Place(r) + j];  reads and writes 4 bytes an element
__global__ void __launch_bounds__(kBlock) MergeHeads(HeadRows order, const float* heads, float* x, bool aligned) {
  const std::int64_t r = RowOfThread(), width = order.shape.width;
  if (r >= order.rows()) return;
  const float* const row = heads + order.Place(r);
  ForVectors(width,
             [&](std::int64_t j) { Store4Of(x + r * width, j, width, Load4Of(row, j, width, aligned, 0), aligned); });
}

}  // namespace kernels

namespace {

using device::AttentionShape;
using device::Element;

constexpr std::int64_t kScores = std::int64_t{1} << 22;  // floats of workspace for scores, at least one head's

bool Empty(const AttentionShape& shape) {
  return shape.batch == 0 || shape.length == 0 || shape.heads == 0 || shape.width == 0;
}

std::size_t SizeOf(Element element) { return element == Element::kF32 ? sizeof(float) : sizeof(std::uint16_t); }

// The heads of one round and where their matrices start; elements, not bytes.
struct Round {
  std::int64_t first, heads, score_matrix, matrix;
};

// for every round of heads: body(round)
template <typename Body>
void ForRounds(const AttentionShape& shape, const Body& body) {
  const std::int64_t matrix = HeadRows{shape, 1}.matrix(), all = shape.batch * shape.heads;
  const std::int64_t scores = (shape.length * shape.length + 7) / 8 * 8;
  const std::int64_t each = std::max<std::int64_t>(1, kScores / scores);
  for (std::int64_t first = 0; first < all; first += each) {
    body(Round{first, std::min(each, all - first), scores, matrix});
  }
}

std::int64_t MostScores(const AttentionShape& shape) {
  std::int64_t most = 0;
  ForRounds(shape, [&](const Round& round) { most = std::max(most, round.heads * round.score_matrix); });
  return most;
}

// A round's matrices inside a buffer of all heads.
const void* At(const void* heads, Element element, std::int64_t matrices, const Round& round) {
  return static_cast<const char*>(heads) +
         static_cast<std::size_t>((matrices + round.first) * round.matrix) * SizeOf(element);
}

// scores = a b^T of two matrices of (length, width) a head
Product Scores(const AttentionShape& shape, Element element, const Round& round, const void* a, const void* b,
               float* scores) {
  Product product{.m = shape.length, .n = shape.length, .k = shape.width, .element = element, .batch = round.heads};
  product.a = {a, shape.width, false, round.matrix};
  product.b = {b, shape.width, true, round.matrix};
  product.c = scores;
  product.leading_c = shape.length;
  product.stride_c = round.score_matrix;
  return product;
}

// y = factor p x, or factor p^T x: p (length, length), x and y (length, width) a head
Product Weighted(const AttentionShape& shape, Element element, const Round& round, const void* p, bool transposed,
                 const void* x, float factor, float* y) {
  Product product{.m = shape.length, .n = shape.width, .k = shape.length, .element = element, .factor = factor};
  product.batch = round.heads;
  product.a = {p, shape.length, transposed, round.score_matrix};
  product.b = {x, shape.width, false, round.matrix};
  product.c = y;
  product.leading_c = shape.width;
  product.stride_c = round.matrix;
  return product;
}

float ScaleOf(const AttentionShape& shape) { return 1.0f / std::sqrt(static_cast<float>(shape.width)); }

void Split(cudaStream_t stream, const HeadRows& order, Element element, const float* x, void* heads) {
  const std::int64_t width = order.shape.width;
  const Grid grid = RowGrid(order.rows(), width, 1);
  const bool aligned = width % kVector == 0 && Aligned(sizeof(float4), x);
  if (element == Element::kF32) {
    Launch<SplitHeads<float>>(stream, grid, 0, order, x, static_cast<float*>(heads), aligned);
  } else {
    Launch<SplitHeads<std::uint16_t>>(stream, grid, 0, order, x, static_cast<std::uint16_t*>(heads), aligned);
  }
}

void Merge(cudaStream_t stream, const HeadRows& order, const float* heads, float* x) {
  const std::int64_t width = order.shape.width;
  const bool aligned = width % kVector == 0 && Aligned(sizeof(float4), x);
  Launch<kernels::MergeHeads>(stream, RowGrid(order.rows(), width, 1), 0, order, heads, x, aligned);
}

}  // namespace

std::int64_t CudaDevice::AttentionSaved(const AttentionShape& shape) const {
  return 2 * shape.batch * shape.heads * shape.length;
}

void CudaDevice::AttentionForward(const AttentionShape& shape, Element element, const float* qkv, float* out,
                                  float* saved) {
  if (Empty(shape)) return;
  const Range range("attention forward");
  const HeadRows three{shape, 3}, one{shape, 1};
  const bool narrow = element == Element::kBF16;
  const std::int64_t most = MostScores(shape), all = shape.batch * shape.heads;
  const device::Buffer heads = Workspace(static_cast<std::size_t>(3 * one.kind()) * SizeOf(element));
  const device::Buffer outs = Workspace(static_cast<std::size_t>(one.kind()) * sizeof(float));
  const device::Buffer scores = Workspace(static_cast<std::size_t>(most) * sizeof(float));
  const device::Buffer rounded =
      narrow ? Workspace(static_cast<std::size_t>(most) * SizeOf(element)) : device::Buffer();
  const device::Buffer workspace = Workspace(products_.workspace_bytes());
  Split(stream(), three, element, qkv, heads.data());
  ForRounds(shape, [&](const Round& round) {
    const auto kind = [&](std::int64_t which) { return At(heads.data(), element, which * all, round); };
    products_.Multiply(Scores(shape, element, round, kind(0), kind(1), scores.f32()), workspace.data());
    const kernels::ScoreRows order{round.heads, shape.length, round.score_matrix};
    const Grid grid = RowGrid(order.rows(), shape.length, kernels::kVectorsEach);
    const bool aligned = shape.length % kVector == 0;
    float* const kept = saved + round.first * 2 * shape.length;
    if (narrow) {
      Launch<kernels::CausalSoftmax<std::uint16_t>>(stream(), grid, 0, order, ScaleOf(shape), scores.f32(),
                                                    rounded.bf16(), kept, aligned);
    } else {
      Launch<kernels::CausalSoftmax<float>>(stream(), grid, 0, order, ScaleOf(shape), scores.f32(), scores.f32(), kept,
                                            aligned);
    }
    const void* const p = narrow ? rounded.data() : scores.data();
    float* const y = outs.f32() + round.first * round.matrix;
    products_.Multiply(Weighted(shape, element, round, p, false, kind(2), 1, y), workspace.data());
  });
  Merge(stream(), one, outs.f32(), out);
}

void CudaDevice::AttentionBackward(const AttentionShape& shape, Element element, const float* qkv, const float*,
                                   const float* saved, const float* d_out, float* d_qkv) {
  if (Empty(shape)) return;
  const Range range("attention backward");
  const HeadRows three{shape, 3}, one{shape, 1};
  const bool narrow = element == Element::kBF16;
  const std::int64_t most = MostScores(shape), all = shape.batch * shape.heads;
  const auto scores_of = [&](Element type) { return Workspace(static_cast<std::size_t>(most) * SizeOf(type)); };
  const device::Buffer heads = Workspace(static_cast<std::size_t>(3 * one.kind()) * SizeOf(element));
  const device::Buffer d_outs = Workspace(static_cast<std::size_t>(one.kind()) * SizeOf(element));
  const device::Buffer d_heads = Workspace(static_cast<std::size_t>(3 * one.kind()) * sizeof(float));
  const device::Buffer scores = scores_of(Element::kF32), d_p = scores_of(Element::kF32);
  const device::Buffer p16 = narrow ? scores_of(element) : device::Buffer();
  const device::Buffer d_s16 = narrow ? scores_of(element) : device::Buffer();
  const device::Buffer workspace = Workspace(products_.workspace_bytes());
  Split(stream(), three, element, qkv, heads.data());
  Split(stream(), one, element, d_out, d_outs.data());
  ForRounds(shape, [&](const Round& round) {
    const auto kind = [&](std::int64_t which) { return At(heads.data(), element, which * all, round); };
    const auto gradient = [&](std::int64_t which) {
      return d_heads.f32() + (which * all + round.first) * round.matrix;
    };
    const auto multiply = [&](const Product& product) { products_.Multiply(product, workspace.data()); };
    const void* const d_y = At(d_outs.data(), element, 0, round);
    multiply(Scores(shape, element, round, kind(0), kind(1), scores.f32()));
    multiply(Scores(shape, element, round, d_y, kind(2), d_p.f32()));
    const float scale = ScaleOf(shape);
    const kernels::ScoreRows order{round.heads, shape.length, round.score_matrix};
    const Grid grid = RowGrid(order.rows(), shape.length, kernels::kVectorsEach);
    const bool aligned = shape.length % kVector == 0;
    const float* const kept = saved + round.first * 2 * shape.length;
    if (narrow) {
      Launch<kernels::CausalSoftmaxBackward<std::uint16_t>>(stream(), grid, 0, order, scale, kept, scores.f32(),
                                                            d_p.f32(), p16.bf16(), d_s16.bf16(), aligned);
    } else {
      Launch<kernels::CausalSoftmaxBackward<float>>(stream(), grid, 0, order, scale, kept, scores.f32(), d_p.f32(),
                                                    scores.f32(), d_p.f32(), aligned);
    }
    const void* const p = narrow ? p16.data() : scores.data();
    const void* const d_s = narrow ? d_s16.data() : d_p.data();
    multiply(Weighted(shape, element, round, d_s, false, kind(1), scale, gradient(0)));
    multiply(Weighted(shape, element, round, d_s, true, kind(0), scale, gradient(1)));
    multiply(Weighted(shape, element, round, p, true, d_y, 1, gradient(2)));
  });
  Merge(stream(), three, d_heads.f32(), d_qkv);
}

}  // namespace lockstep::backends::cuda
