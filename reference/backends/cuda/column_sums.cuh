// Sums over rows, a column a thread, without atomics: chunks of rows in row order, then chunks in order.
//
// The order depends on the number of rows alone. A term is a function of (row, column) that gives one value for each
// sum, so that several gradients come from one pass over memory.
#pragma once

#include "reference/backends/cuda/launch.cuh"
#include "reference/device/device.h"

namespace lockstep::backends::cuda {

inline constexpr std::int64_t kChunkRows = 32;
inline constexpr unsigned kColumns = 128;  // threads of a block

inline Grid ChunkGrid(std::int64_t chunks, std::int64_t width) {
  const std::int64_t block = std::min<std::int64_t>(kColumns, Ceiling(width, kWarp) * kWarp);
  return {dim3(static_cast<unsigned>(chunks), static_cast<unsigned>(Ceiling(width, block))),
          dim3(static_cast<unsigned>(block))};
}

template <int kSums>
struct ColumnSums {
  float* sum[kSums];  // (width) each
};

// chunk c: for j: sums[..][c][j] (+)= sum over the chunk's rows i of terms(i, j)[..];  reads what the terms read once,
// writes 4 kSums width bytes a chunk. `add`: one chunk, which is added to what the sums hold.
template <typename Terms, int kSums>
__global__ void __launch_bounds__(kColumns)
    SumChunks(std::int64_t rows, std::int64_t width, Terms terms, ColumnSums<kSums> sums, bool add) {
  const std::int64_t chunk = blockIdx.x;
  const std::int64_t j = static_cast<std::int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
  if (j >= width) return;
  const std::int64_t begin = chunk * kChunkRows;
  const std::int64_t end = begin + kChunkRows < rows ? begin + kChunkRows : rows;
  float total[kSums] = {}, term[kSums];
  for (std::int64_t i = begin; i < end; ++i) {
    terms(i, j, term);
    for (int s = 0; s < kSums; ++s) total[s] += term[s];
  }
  for (int s = 0; s < kSums; ++s) {
    float* const place = sums.sum[s] + chunk * width + j;
    *place = add ? *place + total[s] : total[s];
  }
}

// for j: sums[..][j] += sum over c of parts[..][c][j];  reads 4 kSums chunks width bytes, as many additions
template <int kSums>
__global__ void __launch_bounds__(kBlock)
    AddChunks(std::int64_t chunks, std::int64_t width, ColumnSums<kSums> parts, ColumnSums<kSums> sums) {
  const std::int64_t j = GlobalThread();
  if (j >= width) return;
  for (int s = 0; s < kSums; ++s) {
    float total = 0;
    for (std::int64_t c = 0; c < chunks; ++c) total += parts.sum[s][c * width + j];
    sums.sum[s][j] += total;
  }
}

template <typename Terms, int kSums>
void SumColumns(device::Device& device, cudaStream_t stream, std::int64_t rows, std::int64_t width, const Terms& terms,
                float* const (&sums)[kSums]) {
  const std::int64_t chunks = Ceiling(rows, kChunkRows);
  if (chunks == 0 || width == 0) return;
  ColumnSums<kSums> out, parts;
  for (int s = 0; s < kSums; ++s) out.sum[s] = sums[s];
  if (chunks == 1) {
    Launch<SumChunks<Terms, kSums>>(stream, ChunkGrid(1, width), 0, rows, width, terms, out, true);
    return;
  }
  const std::int64_t floats = chunks * width;
  const device::Buffer memory =
      device.Allocate(static_cast<std::size_t>(kSums * floats) * sizeof(float), device::Category::kWorkspace);
  for (int s = 0; s < kSums; ++s) parts.sum[s] = memory.f32() + s * floats;
  Launch<SumChunks<Terms, kSums>>(stream, ChunkGrid(chunks, width), 0, rows, width, terms, parts, false);
  Launch<AddChunks<kSums>>(stream, FlatGrid(width), 0, chunks, width, parts, out);
}

}  // namespace lockstep::backends::cuda
