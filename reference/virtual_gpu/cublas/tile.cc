#include "reference/virtual_gpu/cublas/tile.h"

// It reads packed copies alone, never a caller's buffer: the packing is what sanitizers must see, and the cubic rest
// runs at full speed under them.
#ifdef __clang__
#define LOCKSTEP_UNCHECKED __attribute__((no_sanitize("address", "undefined")))
#define LOCKSTEP_UNROLL _Pragma("unroll")
#else
#define LOCKSTEP_UNCHECKED __attribute__((no_sanitize("address,undefined")))
#define LOCKSTEP_UNROLL _Pragma("GCC unroll 8")
#endif

namespace lockstep::virtual_gpu::cublas {
namespace {

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), may_alias));

// for i, j: sums[j][i] = sum_p rows[p][i] * columns[p][j]
template <int kVectors, int kUsed>
LOCKSTEP_UNCHECKED void Sum(std::int64_t k, const float* __restrict rows, const float* __restrict columns,
                            float* __restrict sums) {
  Lanes sum[kUsed][kVectors] = {};
  for (std::int64_t p = 0; p < k; ++p) {
    const Lanes* const row = reinterpret_cast<const Lanes*>(rows + p * (kVectors * kLanes));
    const float* const column = columns + p * kColumns;
    LOCKSTEP_UNROLL for (int j = 0; j < kUsed; ++j) {
      LOCKSTEP_UNROLL for (int v = 0; v < kVectors; ++v) sum[j][v] += row[v] * column[j];
    }
  }
  for (int j = 0; j < kUsed; ++j) {
    for (int v = 0; v < kVectors; ++v) reinterpret_cast<Lanes*>(sums)[j * kVectors + v] = sum[j][v];
  }
}

template <int kVectors>
void SumUsed(int columns_used, std::int64_t k, const float* rows, const float* columns, float* sums) {
  if (columns_used > 4) {
    Sum<kVectors, kColumns>(k, rows, columns, sums);
  } else if (columns_used > 2) {
    Sum<kVectors, 4>(k, rows, columns, sums);
  } else if (columns_used == 2) {
    Sum<kVectors, 2>(k, rows, columns, sums);
  } else {
    Sum<kVectors, 1>(k, rows, columns, sums);
  }
}

}  // namespace

void SumTile(int vectors, int columns_used, std::int64_t k, const float* rows, const float* columns, float* sums) {
  if (vectors == 1) {
    SumUsed<1>(columns_used, k, rows, columns, sums);
  } else {
    SumUsed<kMaxVectors>(columns_used, k, rows, columns, sums);
  }
}

}  // namespace lockstep::virtual_gpu::cublas
