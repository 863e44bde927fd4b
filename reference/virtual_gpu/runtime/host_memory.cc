#include "reference/virtual_gpu/runtime/host_memory.h"

#include <cstdlib>
#include <cstring>
#include <iterator>

namespace lockstep::virtual_gpu {
namespace {

constexpr std::size_t kAlignment = 256;

}  // namespace

void* HostMemory::Allocate(std::size_t bytes) {
  auto* const data = static_cast<char*>(std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment));
  if (data == nullptr) return nullptr;
  std::memset(data, 0xFF, bytes);
  const std::lock_guard lock(mutex_);
  ranges_[data] = {bytes, true};
  return data;
}

bool HostMemory::Free(void* data) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = ranges_.find(static_cast<char*>(data));
    if (found == ranges_.end() || !found->second.owned) return false;
    ranges_.erase(found);
  }
  std::free(data);
  return true;
}

bool HostMemory::Register(void* data, std::size_t bytes) {
  auto* const first = static_cast<char*>(data);
  const std::lock_guard lock(mutex_);
  const auto after = ranges_.lower_bound(first + bytes);
  if (after != ranges_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second.bytes > first) return false;
  }
  ranges_[first] = {bytes, false};
  return true;
}

bool HostMemory::Unregister(void* data) {
  const std::lock_guard lock(mutex_);
  const auto found = ranges_.find(static_cast<char*>(data));
  if (found == ranges_.end() || found->second.owned) return false;
  ranges_.erase(found);
  return true;
}

void* HostMemory::Find(const void* address, std::size_t bytes) const {
  auto* const byte = static_cast<char*>(const_cast<void*>(address));
  const std::lock_guard lock(mutex_);
  const auto after = ranges_.upper_bound(byte);
  if (after == ranges_.begin()) return nullptr;
  const auto found = std::prev(after);
  const auto offset = static_cast<std::size_t>(byte - found->first);
  if (offset > found->second.bytes || bytes > found->second.bytes - offset) return nullptr;
  return found->first;
}

}  // namespace lockstep::virtual_gpu
