#include "reference/backends/kokkos/arena.h"

#include <algorithm>
#include <limits>
#include <new>

namespace lockstep::backends::kokkos {
namespace {

constexpr std::size_t kAlignment = 64;

// Never 0, so that an empty buffer has an address too.
std::size_t Rounded(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::size_t>::max() - kAlignment) throw std::bad_alloc();
  return std::max(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
}

}  // namespace

Arena::~Arena() { Release(); }

void* Arena::Take(std::size_t bytes) {
  const std::size_t rounded = Rounded(bytes);
  void* data = nullptr;
  if (auto found = unused_.find(rounded); found != unused_.end() && !found->second.empty()) {
    data = found->second.back();
    found->second.pop_back();
    unused_bytes_ -= rounded;
  } else {
    data = ::operator new(rounded, std::align_val_t(kAlignment));
  }
  used_bytes_ += rounded;
  most_used_ = std::max(most_used_, used_bytes_);
  return data;
}

void Arena::Give(void* data, std::size_t bytes) {
  const std::size_t rounded = Rounded(bytes);
  used_bytes_ -= rounded;
  unused_[rounded].push_back(data);
  unused_bytes_ += rounded;
  if (used_bytes_ + unused_bytes_ > 2 * most_used_) Release();
}

void Arena::Release() {
  for (auto& [size, blocks] : unused_) {
    for (void* block : blocks) ::operator delete(block, std::align_val_t(kAlignment));
  }
  unused_.clear();
  unused_bytes_ = 0;
}

}  // namespace lockstep::backends::kokkos
