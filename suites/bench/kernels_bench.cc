// How fast the Kokkos backend's operations are, each at the shapes of a gpt with 6 layers of width 384, 6 heads, 128
// positions and 8 sequences; and oneDNN's sgemm at 1024^3, by which products are judged.
//
// FLOP/s counts multiplications and additions of products, bytes/s what an operation must read and write at least.
#include <benchmark/benchmark.h>
#include <dnnl.h>
#include <omp.h>

#include <memory>
#include <random>
#include <vector>

#include "reference/backends/kokkos/backend.h"
#include "reference/device/device.h"
#include "suites/bench/run.h"

namespace lockstep::bench {
namespace {

using device::AttentionShape;
using device::Element;
using device::Epilogue;
using device::Gemm;

constexpr std::int64_t kRows = 8 * 128, kWidth = 384, kMlp = 4 * kWidth, kVocabulary = 1024;
constexpr AttentionShape kAttention{8, 128, 6, 64};

// A device and the buffers of one benchmark, filled with small random numbers.
class Bench {
 public:
  Bench() : device_(backends::kokkos::MakeDevice(0, 0)) {}

  float* Floats(std::int64_t n) {
    std::mt19937 generator(1);
    std::uniform_real_distribution<float> distribution(-1, 1);
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = distribution(generator);
    buffers_.push_back(device_->Allocate(values.size() * sizeof(float), device::Category::kActivations));
    device_->ToDevice(buffers_.back().data(), values.data(), values.size() * sizeof(float));
    return buffers_.back().f32();
  }
  template <typename T>
  T* Copied(const std::vector<T>& values) {
    buffers_.push_back(device_->Allocate(values.size() * sizeof(T), device::Category::kActivations));
    device_->ToDevice(buffers_.back().data(), values.data(), values.size() * sizeof(T));
    return static_cast<T*>(buffers_.back().data());
  }
  device::Device* operator->() { return device_.get(); }

 private:
  std::unique_ptr<device::Device> device_;
  std::vector<device::Buffer> buffers_;  // before the device in destruction
};

void CountFlops(benchmark::State& state, double each) {
  state.counters["FLOP/s"] =
      benchmark::Counter(each * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
void CountBytes(benchmark::State& state, std::int64_t each) { state.SetBytesProcessed(state.iterations() * each); }

void SgemmOfOneThread(benchmark::State& state) {
  const std::int64_t n = 1024;
  omp_set_num_threads(1);
  Bench bench;
  const float* const a = bench.Floats(n * n);
  const float* const b = bench.Floats(n * n);
  float* const c = bench.Floats(n * n);
  for (auto _ : state) dnnl_sgemm('N', 'N', n, n, n, 1, a, n, b, n, 0, c, n);
  CountFlops(state, 2.0 * n * n * n);
}
BENCHMARK(SgemmOfOneThread)->Unit(benchmark::kMillisecond);

// x (rows, in) W (out, in): which product, out, in
enum Product { kForward, kForwardGelu, kInputGradient, kWeightGradient };

void Multiply(benchmark::State& state, Product product, Element element) {
  const std::int64_t out = state.range(0), in = state.range(1);
  Bench bench;
  const auto operand = [&](std::int64_t n) -> const void* {
    if (element == Element::kF32) return bench.Floats(n);
    auto* const narrow = bench.Copied(std::vector<std::uint16_t>(static_cast<std::size_t>(n)));
    bench->ToBF16(n, bench.Floats(n), narrow);
    return narrow;
  };
  const void* const x = operand(kRows * in);
  const void* const weight = operand(out * in);
  const void* const d_y = operand(kRows * out);
  Gemm gemm;
  if (product == kForward || product == kForwardGelu) {
    gemm = {
        .m = kRows, .n = out, .k = in, .a = {x, element}, .b = {weight, element, true}, .c = bench.Floats(kRows * out)};
    gemm.epilogue = product == kForward ? Epilogue::kBias : Epilogue::kBiasGelu;
    gemm.bias = bench.Floats(out);
    if (product == kForwardGelu) gemm.before_activation = bench.Floats(kRows * out);
  } else if (product == kInputGradient) {
    gemm = {.m = kRows, .n = in, .k = out, .a = {d_y, element}, .b = {weight, element}, .c = bench.Floats(kRows * in)};
  } else {
    gemm = {.m = out, .n = in, .k = kRows, .a = {d_y, element, true}, .b = {x, element}, .c = bench.Floats(out * in)};
    gemm.accumulate = true;
  }
  for (auto _ : state) bench->Multiply(gemm);
  CountFlops(state, 2.0 * kRows * static_cast<double>(out * in));
}

void LayerShapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"out", "in"})->Unit(benchmark::kMillisecond);
  for (const auto& [out, in] :
       {std::pair{3 * kWidth, kWidth}, {kWidth, kWidth}, {kMlp, kWidth}, {kWidth, kMlp}, {kVocabulary, kWidth}}) {
    benchmark->Args({out, in});
  }
}
BENCHMARK_CAPTURE(Multiply, forward, kForward, Element::kF32)->Apply(LayerShapes);
BENCHMARK_CAPTURE(Multiply, forward_gelu, kForwardGelu, Element::kF32)
    ->Args({kMlp, kWidth})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Multiply, input_gradient, kInputGradient, Element::kF32)->Apply(LayerShapes);
BENCHMARK_CAPTURE(Multiply, weight_gradient, kWeightGradient, Element::kF32)->Apply(LayerShapes);
BENCHMARK_CAPTURE(Multiply, forward_bf16, kForward, Element::kBF16)
    ->Args({kMlp, kWidth})
    ->Unit(benchmark::kMillisecond);

// FLOP/s as attention is counted in a model's: whole products, two forward and four backward.
void Attention(benchmark::State& state, bool backward) {
  Bench bench;
  const std::int64_t n = kRows * kWidth;
  const float* const qkv = bench.Floats(3 * n);
  const float* const d_out = bench.Floats(n);
  float* const out = bench.Floats(n);
  float* const d_qkv = bench.Floats(3 * n);
  float* const saved = bench.Floats(bench->AttentionSaved(kAttention));
  bench->AttentionForward(kAttention, Element::kF32, qkv, out, saved);
  for (auto _ : state) {
    if (backward) {
      bench->AttentionBackward(kAttention, Element::kF32, qkv, out, saved, d_out, d_qkv);
    } else {
      bench->AttentionForward(kAttention, Element::kF32, qkv, out, saved);
    }
  }
  CountFlops(state, (backward ? 8.0 : 4.0) * kRows * 128 * kWidth);
}
BENCHMARK_CAPTURE(Attention, forward, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Attention, backward, true)->Unit(benchmark::kMillisecond);

void LayerNormForward(benchmark::State& state) {
  Bench bench;
  const float* const x = bench.Floats(kRows * kWidth);
  float* const y = bench.Floats(kRows * kWidth);
  float* const rows = bench.Floats(2 * kRows);
  const float* const weight = bench.Floats(kWidth);
  for (auto _ : state) bench->LayerNormForward(kRows, kWidth, x, weight, weight, y, rows, rows + kRows);
  CountBytes(state, 2 * kRows * kWidth * 4);
}
BENCHMARK(LayerNormForward)->Unit(benchmark::kMicrosecond);

void LayerNormBackward(benchmark::State& state) {
  Bench bench;
  const float* const x = bench.Floats(kRows * kWidth);
  const float* const d_y = bench.Floats(kRows * kWidth);
  const float* const rows = bench.Floats(2 * kRows);
  const float* const weight = bench.Floats(kWidth);
  float* const d_x = bench.Floats(kRows * kWidth);
  float* const d_weight = bench.Floats(2 * kWidth);
  for (auto _ : state) {
    bench->LayerNormBackward(kRows, kWidth, x, weight, rows, rows + kRows, d_y, d_x, false, d_weight,
                             d_weight + kWidth);
  }
  CountBytes(state, 3 * kRows * kWidth * 4);
}
BENCHMARK(LayerNormBackward)->Unit(benchmark::kMicrosecond);

void BiasBackward(benchmark::State& state) {
  Bench bench;
  const float* const d_y = bench.Floats(kRows * kMlp);
  float* const d_bias = bench.Floats(kMlp);
  for (auto _ : state) bench->BiasBackward(kRows, kMlp, d_y, d_bias);
  CountBytes(state, kRows * kMlp * 4);
}
BENCHMARK(BiasBackward)->Unit(benchmark::kMicrosecond);

void GeluBackward(benchmark::State& state) {
  Bench bench;
  const float* const x = bench.Floats(kRows * kMlp);
  const float* const d_y = bench.Floats(kRows * kMlp);
  float* const d_x = bench.Floats(kRows * kMlp);
  for (auto _ : state) bench->GeluBackward(kRows * kMlp, x, d_y, d_x);
  CountBytes(state, 3 * kRows * kMlp * 4);
}
BENCHMARK(GeluBackward)->Unit(benchmark::kMicrosecond);

void Add(benchmark::State& state) {
  Bench bench;
  const float* const a = bench.Floats(kRows * kWidth);
  float* const b = bench.Floats(kRows * kWidth);
  for (auto _ : state) bench->Add(kRows * kWidth, a, b, b);
  CountBytes(state, 3 * kRows * kWidth * 4);
}
BENCHMARK(Add)->Unit(benchmark::kMicrosecond);

void Dropout(benchmark::State& state) {
  Bench bench;
  const float* const x = bench.Floats(kRows * kWidth);
  float* const y = bench.Floats(kRows * kWidth);
  const auto* const keys = bench.Copied(std::vector<std::uint64_t>(kRows, 12345));
  for (auto _ : state) bench->Dropout(kRows, kWidth, 0.1f, keys, x, y);
  CountBytes(state, 2 * kRows * kWidth * 4);
}
BENCHMARK(Dropout)->Unit(benchmark::kMicrosecond);

void CrossEntropy(benchmark::State& state) {
  Bench bench;
  float* const logits = bench.Floats(kRows * kVocabulary);
  float* const rows = bench.Floats(4 * kRows);
  const auto* const targets = bench.Copied(std::vector<std::int32_t>(kRows, 7));
  for (auto _ : state) {
    bench->RowMax(kRows, kVocabulary, logits, rows);
    bench->RowSumExp(kRows, kVocabulary, 0, logits, rows, targets, rows + kRows, rows + 2 * kRows);
    bench->CrossEntropyLoss(kRows, rows, rows + kRows, rows + 2 * kRows, targets, rows + 3 * kRows);
    bench->CrossEntropyBackward(kRows, kVocabulary, 0, logits, rows, rows + kRows, targets, 1.0f);
  }
  CountBytes(state, 4 * kRows * kVocabulary * 4);
}
BENCHMARK(CrossEntropy)->Unit(benchmark::kMicrosecond);

void SumOfSquares(benchmark::State& state) {
  Bench bench;
  const std::int64_t n = 1 << 22;
  const float* const x = bench.Floats(n);
  for (auto _ : state) benchmark::DoNotOptimize(bench->SumOfSquares(n, x));
  CountBytes(state, n * 4);
}
BENCHMARK(SumOfSquares)->Unit(benchmark::kMicrosecond);

void AdamWStep(benchmark::State& state) {
  Bench bench;
  const std::int64_t n = 1 << 22;
  float* const p = bench.Floats(n);
  const float* const g = bench.Floats(n);
  float* const m = bench.Floats(n);
  float* const v = bench.Floats(n);
  bench->Zero(v, n * 4);
  for (auto _ : state) bench->AdamWStep(n, 1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.5f, 0.5f, g, m, v, p);
  CountBytes(state, 7 * n * 4);
}
BENCHMARK(AdamWStep)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  const lockstep::backends::kokkos::Runtime runtime;
  return lockstep::bench::Run(argc, argv);
}
