// The innermost loop of a product: one tile of sums from two packed panels.
//
// A panel of rows holds, for each p, kVectors * kLanes neighbouring rows; a panel of columns, for each p, kColumns
// neighbouring columns; both padded with zeros. Every sum is one chain over p in order, whatever the tile holds beside
// it: that is what makes an element's bits its own (product.h). Compiled apart, because here alone the compiler may
// fuse a multiply and an add.
#pragma once

#include <cstdint>

namespace lockstep::virtual_gpu::cublas {

#ifdef __AVX512F__
inline constexpr int kLanes = 16;
#else
inline constexpr int kLanes = 8;
#endif
inline constexpr int kColumns = 8;
inline constexpr int kMaxVectors = 2;
inline constexpr int kAlignment = 64;  // of panels and sums, bytes

// sums[j * vectors * kLanes + i] = sum_p rows[p][i] columns[p][j] for j < columns_used; vectors is 1 or kMaxVectors.
void SumTile(int vectors, int columns_used, std::int64_t k, const float* rows, const float* columns, float* sums);

}  // namespace lockstep::virtual_gpu::cublas
