// Loops over fixed blocks, run by whatever host execution space Kokkos was built with.
//
// Blocks depend on the sizes alone, never on the number of threads, and each result element belongs to one block: so a
// result has the same bytes on one thread and on many. The loop inside a block is the caller's, plain and vectorised.
#pragma once

#include <Kokkos_Core.hpp>
#include <algorithm>
#include <cstdint>

namespace lockstep::backends::kokkos {

using Space = Kokkos::DefaultHostExecutionSpace;

inline std::int64_t BlockCount(std::int64_t n, std::int64_t block) { return (n + block - 1) / block; }

// for every block: body(begin, end)
template <typename Body>
void ForBlocks(std::int64_t n, std::int64_t block, const Body& body) {
  const std::int64_t blocks = BlockCount(n, block);
  if (blocks <= 0) return;
  if (blocks == 1) {
    body(std::int64_t{0}, n);
    return;
  }
  Kokkos::parallel_for(Kokkos::RangePolicy<Space, Kokkos::IndexType<std::int64_t>>(0, blocks),
                       [&](const std::int64_t at) { body(at * block, std::min(n, (at + 1) * block)); });
  Space().fence();
}

// Elements a block of an elementwise loop: enough to hide a thread's start, few enough to stay in the first cache.
inline constexpr std::int64_t kElementBlock = 4096;

template <typename Body>
void ForElements(std::int64_t n, const Body& body) {
  ForBlocks(n, kElementBlock, body);
}

// Rows a block, so that a block is about kElementBlock elements.
inline std::int64_t RowsPerBlock(std::int64_t width) {
  return std::max<std::int64_t>(1, kElementBlock / std::max<std::int64_t>(1, width));
}

template <typename Body>
void ForRows(std::int64_t rows, std::int64_t width, const Body& body) {
  ForBlocks(rows, RowsPerBlock(width), body);
}

}  // namespace lockstep::backends::kokkos
