// Walks a slice as runs of elements that are contiguous both in the slice and in the global tensor (the last
// dimension's rows), so that copying a slice in, out and checking coverage are one loop. Knows nothing of types.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "harness/protocol/tensor.h"

namespace lockstep::protocol {

// One entry a dimension, offset >= 0, offset + shape <= global_shape.
inline bool IsInside(const Slice& slice) {
  const std::size_t rank = slice.global_shape.size();
  if (slice.offset.size() != rank || slice.shape.size() != rank) return false;
  for (std::size_t d = 0; d < rank; ++d) {
    if (slice.offset[d] < 0 || slice.shape[d] < 0 || slice.offset[d] > slice.global_shape[d]) return false;
    if (slice.shape[d] > slice.global_shape[d] - slice.offset[d]) return false;
  }
  return true;
}

// Calls visit(index in the global tensor, index in the slice, elements) for each run, in ascending order of both.
// Throws std::logic_error for a slice that is not inside its global tensor.
template <typename Visit>
void ForEachRow(const Slice& slice, Visit visit) {
  if (!IsInside(slice))
    throw std::logic_error("slice " + ToString(slice.shape) + " leaves " + ToString(slice.global_shape));
  const std::int64_t elements = ElementCount(slice.shape);
  if (elements == 0) return;
  if (slice.shape.empty()) return visit(std::int64_t{0}, std::int64_t{0}, std::int64_t{1});
  const std::size_t last = slice.shape.size() - 1;
  const std::int64_t row = slice.shape[last];
  Shape index(last, 0);  // position in the slice, without the last dimension
  for (std::int64_t local = 0; local < elements; local += row) {
    std::int64_t global = 0;
    for (std::size_t d = 0; d < last; ++d) global = global * slice.global_shape[d] + slice.offset[d] + index[d];
    visit(global * slice.global_shape[last] + slice.offset[last], local, row);
    for (std::size_t d = last; d-- > 0;) {
      if (++index[d] < slice.shape[d]) break;
      index[d] = 0;
    }
  }
}

}  // namespace lockstep::protocol
