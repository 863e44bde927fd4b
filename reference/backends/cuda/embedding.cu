// Embeddings: rows of a table by token, and gradients added back in row order without atomics or sorting.
//
// Backward: the rows of one token form a chain in row order. The first of a chain owns the token's gradient and adds
// the whole chain to it, so that every sum is the plain loop's, to the bit.
#include "reference/backends/cuda/cuda_device.h"
#include "reference/backends/cuda/range.h"
#include "reference/backends/cuda/row_groups.cuh"

namespace lockstep::backends::cuda {
namespace kernels {

// for i, j: y[i][j] = table[tokens[i] - first][j], or 0 where the table does not hold it
// reads and writes 4 rows width bytes each, no arithmetic
__global__ void __launch_bounds__(kBlock)
    LookUp(std::int64_t rows, std::int64_t width, const std::int32_t* tokens, std::int64_t first, std::int64_t count,
           const float* table, float* y, bool aligned) {
  const std::int64_t i = RowOfThread();
  if (i >= rows) return;
  const std::int64_t at = tokens[i] - first;
  const bool here = at >= 0 && at < count;
  ForVectors(width, [&](std::int64_t j) {
    const float4 value = here ? Load4Of(table + at * width, j, width, aligned, 0) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    Store4Of(y + i * width, j, width, value, aligned);
  });
}

// for i: links[i] = the next row of the same token, or rows; with its bits flipped where an earlier row has the token
// reads 4 rows^2 bytes at most, all but the first 4 rows from the cache; rows^2 comparisons at most
__global__ void __launch_bounds__(kBlock) LinkRows(std::int64_t rows, const std::int32_t* tokens, std::int32_t* links) {
  const std::int64_t i = GlobalThread();
  if (i >= rows) return;
  const std::int32_t token = tokens[i];
  std::int64_t next = i + 1, previous = i - 1;
  while (next < rows && tokens[next] != token) ++next;
  while (previous >= 0 && tokens[previous] != token) --previous;
  const auto link = static_cast<std::int32_t>(next);
  links[i] = previous < 0 ? link : ~link;
}

// for i: for j: d_table[tokens[i] - first][j] += d_y[i][j], where the table holds it
// reads 4 rows width bytes of d_y once, reads and writes those of d_table that change once; rows width additions
__global__ void __launch_bounds__(kBlock)
    AddChains(std::int64_t rows, std::int64_t width, const std::int32_t* tokens, const std::int32_t* links,
              std::int64_t first, std::int64_t count, const float* d_y, float* d_table, bool aligned) {
  const std::int64_t owner = RowOfThread();
  if (owner >= rows || links[owner] < 0) return;
  const std::int64_t at = tokens[owner] - first;
  if (at < 0 || at >= count) return;
  ForVectors(width, [&](std::int64_t j) {
    float4 sum = Load4Of(d_table + at * width, j, width, aligned, 0);
    std::int64_t i = owner;
    do {
      sum = Map(Plus{}, sum, Load4Of(d_y + i * width, j, width, aligned, 0));
      const std::int32_t link = links[i];
      i = link < 0 ? ~link : link;
    } while (i < rows);
    Store4Of(d_table + at * width, j, width, sum, aligned);
  });
}

}  // namespace kernels

void CudaDevice::EmbeddingForward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens, std::int64_t first,
                                  std::int64_t count, const float* table, float* y) {
  const Range range("embedding forward");
  Launch<kernels::LookUp>(stream(), RowGrid(rows, width, 1), 0, rows, width, tokens, first, count, table, y,
                          width % kVector == 0 && Aligned(sizeof(float4), table, y));
}

void CudaDevice::EmbeddingBackward(std::int64_t rows, std::int64_t width, const std::int32_t* tokens,
                                   std::int64_t first, std::int64_t count, const float* d_y, float* d_table) {
  const Range range("embedding backward");
  if (rows == 0 || width == 0 || count == 0) return;
  const device::Buffer links = Workspace(static_cast<std::size_t>(rows) * sizeof(std::int32_t));
  Launch<kernels::LinkRows>(stream(), FlatGrid(rows), 0, rows, tokens, links.i32());
  Launch<kernels::AddChains>(stream(), RowGrid(rows, width, 1), 0, rows, width, tokens, links.i32(), first, count, d_y,
                             d_table, width % kVector == 0 && Aligned(sizeof(float4), d_y, d_table));
}

}  // namespace lockstep::backends::cuda
