#include "reference/virtual_gpu/cublas/product.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "reference/virtual_gpu/cublas/finish.h"
#include "reference/virtual_gpu/cublas/pack.h"
#include "reference/virtual_gpu/cublas/tile.h"

namespace lockstep::virtual_gpu::cublas {
namespace {

// Memory of a thread that multiplies, kept from one product to the next.
class Scratch {
 public:
  float* Of(std::int64_t floats) {
    if (floats > floats_) {
      data_.reset(static_cast<float*>(
          ::operator new (static_cast<std::size_t>(floats) * sizeof(float), std::align_val_t{kAlignment})));
      floats_ = floats;
    }
    return data_.get();
  }

 private:
  struct Delete {
    void operator()(float* data) const { ::operator delete (data, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<float, Delete> data_;
  std::int64_t floats_ = 0;
};

std::int64_t RoundUp(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Columns packed at once: they are read again for every panel of rows, so they should stay in the second cache.
std::int64_t ColumnsAtOnce(std::int64_t columns, std::int64_t k) {
  constexpr std::int64_t kFloats = 96 * 1024;
  const std::int64_t panels = std::max<std::int64_t>(1, kFloats / (k * kColumns));
  return std::min(panels * kColumns, RoundUp(columns, kColumns));
}

// The result without a product: k or alpha is 0.
void FinishZeros(const Product& product) {
  constexpr std::int64_t kBlock = 64;
  constexpr float kZeros[kBlock] = {};
  for (std::int64_t i = 0; i < product.m; i += kBlock) {
    Finish(product, {i, std::min(kBlock, product.m - i), 0, product.n, kZeros, 1, 0});
  }
}

}  // namespace

void Multiply(const Product& product) {
  if (product.m == 0 || product.n == 0) return;
  if (product.k == 0 || product.alpha == 0) return FinishZeros(product);
  thread_local Scratch row_scratch, column_scratch;
  // The vector runs over rows; where there are few of them and more columns, over columns.
  const bool swapped = product.m < kLanes && product.n > product.m;
  const Side over = swapped ? ColumnsOf(product) : RowsOf(product);
  const Side beside = swapped ? RowsOf(product) : ColumnsOf(product);
  const int vectors = over.units <= kLanes ? 1 : kMaxVectors;
  const std::int64_t k = product.k, rows_at_once = std::int64_t{vectors} * kLanes;
  const std::int64_t columns_at_once = ColumnsAtOnce(beside.units, k);
  float* const rows = row_scratch.Of(rows_at_once * k);
  float* const columns = column_scratch.Of(columns_at_once * k);
  alignas(kAlignment) float sums[kColumns * kMaxVectors * kLanes];
  for (std::int64_t first = 0; first < beside.units; first += columns_at_once) {
    const std::int64_t block = std::min(columns_at_once, beside.units - first);
    for (std::int64_t j = 0; j < block; j += kColumns) {
      Pack(beside, first + j, std::min<std::int64_t>(kColumns, block - j), k, kColumns, columns + j * k);
    }
    for (std::int64_t i = 0; i < over.units; i += rows_at_once) {
      const std::int64_t rows_here = std::min(rows_at_once, over.units - i);
      Pack(over, i, rows_here, k, rows_at_once, rows);
      for (std::int64_t j = 0; j < block; j += kColumns) {
        const int columns_here = static_cast<int>(std::min<std::int64_t>(kColumns, block - j));
        SumTile(vectors, columns_here, k, rows, columns + j * k, sums);
        if (swapped) {  // what the tile calls rows are the result's columns
          Finish(product, {first + j, columns_here, i, rows_here, sums, rows_at_once, 1});
        } else {
          Finish(product, {i, rows_here, first + j, columns_here, sums, 1, rows_at_once});
        }
      }
    }
  }
}

}  // namespace lockstep::virtual_gpu::cublas
