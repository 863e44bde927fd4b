#include <vector>

#include "reference/backends/kokkos/kokkos_device.h"
#include "reference/backends/kokkos/parallel.h"
#include "reference/backends/kokkos/vector_math.h"

namespace lockstep::backends::kokkos {
namespace {

// for i in 0 .. n: body(i), in vectorised blocks; body(i) touches element i alone
template <typename Body>
void ForEach(std::int64_t n, const Body& body) {
  ForElements(n, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

// Sum of term(0) .. term(n - 1) in fp64: blocks by themselves, then over blocks in order.
template <typename Term>
double BlockedSum(std::int64_t n, const Term& term) {
  std::vector<double> parts(static_cast<std::size_t>(BlockCount(n, kElementBlock)));
  ForElements(n, [&](std::int64_t begin, std::int64_t end) {
    parts[static_cast<std::size_t>(begin / kElementBlock)] =
        LaneSum<double>(end - begin, [&](std::int64_t i) { return term(begin + i); });
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

}  // namespace

void KokkosDevice::ReluBackward(std::int64_t n, const float* before, const float* d_y, float* d_x) {
  ForEach(n, [=](std::int64_t i) { d_x[i] = before[i] > 0.0f ? d_y[i] : 0.0f; });
}

void KokkosDevice::GeluForward(std::int64_t n, const float* x, float* y) {
  ForEach(n, [=](std::int64_t i) { y[i] = Gelu(x[i]); });
}

void KokkosDevice::GeluBackward(std::int64_t n, const float* before, const float* d_y, float* d_x) {
  ForEach(n, [=](std::int64_t i) { d_x[i] = d_y[i] * GeluDerivative(before[i]); });
}

void KokkosDevice::Add(std::int64_t n, const float* a, const float* b, float* y) {
  ForEach(n, [=](std::int64_t i) { y[i] = a[i] + b[i]; });
}

void KokkosDevice::Scale(std::int64_t n, float factor, float* x) {
  ForEach(n, [=](std::int64_t i) { x[i] *= factor; });
}

void KokkosDevice::ToBF16(std::int64_t n, const float* x, std::uint16_t* y) {
  ForEach(n, [=](std::int64_t i) { y[i] = RoundToBF16(x[i]); });
}

void KokkosDevice::FromBF16(std::int64_t n, const std::uint16_t* x, float* y) {
  ForEach(n, [=](std::int64_t i) { y[i] = WidenBF16(x[i]); });
}

double KokkosDevice::SumOfSquares(std::int64_t n, const float* x) {
  return BlockedSum(n, [x](std::int64_t i) { return static_cast<double>(x[i]) * static_cast<double>(x[i]); });
}

double KokkosDevice::Sum(std::int64_t n, const float* x) {
  return BlockedSum(n, [x](std::int64_t i) { return static_cast<double>(x[i]); });
}

}  // namespace lockstep::backends::kokkos
