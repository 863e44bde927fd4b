#include "reference/virtual_gpu/runtime/pool.h"

#include <iterator>
#include <utility>

namespace lockstep::virtual_gpu {

Pool::Pool(char* base, std::size_t bytes, std::size_t granule, std::size_t quarantine)
    : base_(base), top_(base), bytes_(bytes), granule_(granule), quarantine_(quarantine) {}

char* Pool::Take(std::size_t bytes) {
  bytes = Rounded(bytes);
  for (;;) {
    if (char* const data = TakeFree(bytes)) return data;
    if (bytes <= static_cast<std::size_t>(end() - top_)) return std::exchange(top_, top_ + bytes);
    if (kept_.empty()) return nullptr;
    FreeOldest();
  }
}

char* Pool::TakeFree(std::size_t bytes) {
  for (auto range = free_.begin(); range != free_.end(); ++range) {
    const auto [data, size] = *range;
    if (size < bytes) continue;
    free_.erase(range);
    if (size > bytes) free_.emplace(data + bytes, size - bytes);
    return data;
  }
  return nullptr;
}

void Pool::Give(char* data, std::size_t bytes) {
  bytes = Rounded(bytes);
  kept_.emplace_back(data, bytes);
  kept_bytes_ += bytes;
  while (kept_bytes_ > quarantine_) FreeOldest();
}

void Pool::FreeOldest() {
  auto [data, bytes] = kept_.front();
  kept_.pop_front();
  kept_bytes_ -= bytes;
  auto next = free_.lower_bound(data);
  if (next != free_.end() && data + bytes == next->first) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == data) {
      before->second += bytes;
      return;
    }
  }
  free_.emplace(data, bytes);
}

}  // namespace lockstep::virtual_gpu
