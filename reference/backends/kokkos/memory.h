// Blocks of host memory, aligned to cache lines.
#pragma once

#include <cstddef>
#include <new>

namespace lockstep::backends::kokkos {

struct HostBlocks {
  static constexpr std::size_t kRounding = 64;
  static void* Take(std::size_t bytes) { return ::operator new(bytes, std::align_val_t(kRounding), std::nothrow); }
  static void Give(void* block) noexcept { ::operator delete(block, std::align_val_t(kRounding)); }
};

}  // namespace lockstep::backends::kokkos
