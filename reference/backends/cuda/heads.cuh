// Attention's rows between the model's order and one that strided-batched products take.
//
// The model has kinds (q, k, v, or one alone) and heads inside a position: (batch, length, kinds, heads, width).
// Products want each head's rows together: (kinds, batch, heads) matrices of (length, width), each starting at a
// multiple of 8 elements, so that a head's bytes do not depend on its number.
#pragma once

#include "reference/backends/cuda/row_groups.cuh"
#include "reference/device/device.h"

namespace lockstep::backends::cuda {

struct HeadRows {
  device::AttentionShape shape;
  std::int64_t kinds;

  __host__ __device__ std::int64_t rows() const { return shape.batch * shape.length * kinds * shape.heads; }
  __host__ __device__ std::int64_t matrix() const { return (shape.length * shape.width + 7) / 8 * 8; }
  std::int64_t kind() const { return shape.batch * shape.heads * matrix(); }  // elements of one kind
  // Where row r of the model's order starts in the products' order.
  __device__ std::int64_t Place(std::int64_t r) const {
    const std::int64_t head = r % shape.heads;
    r /= shape.heads;
    const std::int64_t which = r % kinds;
    r /= kinds;
    const std::int64_t position = r % shape.length, sequence = r / shape.length;
    return ((which * shape.batch + sequence) * shape.heads + head) * matrix() + position * shape.width;
  }
};

__device__ inline void StoreHead(float* row, std::int64_t j, std::int64_t width, float4 value, bool aligned) {
  Store4Of(row, j, width, value, aligned);
}
__device__ inline void StoreHead(std::uint16_t* row, std::int64_t j, std::int64_t width, float4 value, bool aligned) {
  const ushort4 narrow =
      make_ushort4(RoundToBF16(value.x), RoundToBF16(value.y), RoundToBF16(value.z), RoundToBF16(value.w));
  if (aligned) {
    *reinterpret_cast<ushort4*>(row + j) = narrow;
    return;
  }
  row[j] = narrow.x;
  if (j + 1 < width) row[j + 1] = narrow.y;
  if (j + 2 < width) row[j + 2] = narrow.z;
  if (j + 3 < width) row[j + 3] = narrow.w;
}

// for r, j: heads[Place(r) + j] = x[r][j], rounded to T;  reads 4 bytes an element, writes sizeof(T)
template <typename T>
__global__ void __launch_bounds__(kBlock) SplitHeads(HeadRows order, const float* x, T* heads, bool aligned) {
  const std::int64_t r = RowOfThread(), width = order.shape.width;
  if (r >= order.rows()) return;
  T* const row = heads + order.Place(r);
  ForVectors(width,
             [&](std::int64_t j) { StoreHead(row, j, width, Load4Of(x + r * width, j, width, aligned, 0), aligned); });
}

}  // namespace lockstep::backends::cuda
