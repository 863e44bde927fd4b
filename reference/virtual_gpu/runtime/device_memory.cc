#include "reference/virtual_gpu/runtime/device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/engine/sanitizers.h"

namespace lockstep::virtual_gpu {
namespace {

constexpr std::size_t kAlignment = 256;  // of an allocation, as cudaMalloc promises
constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kLarge = std::size_t{1} << 20;  // from here on a block has pages of its own
constexpr std::size_t kSmallQuarantine = std::size_t{32} << 20;
constexpr std::size_t kRemembered = 64;
constexpr int kFresh = 0xFF, kGap = 0xFD;

std::size_t Page() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

bool IsFilled(const char* data, std::size_t bytes, int value) {
  return bytes == 0 || (static_cast<unsigned char>(*data) == value && std::memcmp(data, data + 1, bytes - 1) == 0);
}

std::size_t Up(std::size_t bytes, std::size_t multiple) { return (bytes + multiple - 1) / multiple * multiple; }

}  // namespace

std::size_t DeviceMemory::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

// The addresses of all blocks that there may ever be: the capacity four times over, so that freed ones can rest.
bool DeviceMemory::Reserve() {
  if (base_.load(std::memory_order_relaxed) != nullptr) return true;
  const std::size_t small = Up(3 * capacity_ + 2 * kSmallQuarantine, kHuge), large = Up(4 * capacity_ + kHuge, kHuge);
  void* const memory =
      mmap(nullptr, small + large + kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  char* const base = reinterpret_cast<char*>(Up(reinterpret_cast<std::size_t>(memory), kHuge));
  madvise(base, small + large, MADV_HUGEPAGE);  // where there are none, closing an idle device takes longer
  small_ = Pool(base, small, kAlignment, kSmallQuarantine);
  large_ = Pool(base + small, large, kHuge, capacity_);
  committed_ = base;
  span_ = small + large;
  base_.store(base, std::memory_order_release);
  return true;
}

void* DeviceMemory::Allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes > capacity_ || Up(bytes, kAlignment) > capacity_ - used_ || !Reserve()) return nullptr;
  Block block{.bytes = bytes, .taken = 0, .large = bytes >= kLarge};
  char* const data = block.large ? TakeLarge(bytes, block) : TakeSmall(bytes, block);
  if (data == nullptr) return nullptr;
  Unpoison(data, bytes);
  std::memset(data, kFresh, bytes);
  if constexpr (kAddressSanitizer) {
    Poison(data + bytes, static_cast<std::size_t>(GapEnd(data, block) - (data + bytes)));
  } else {
    std::memset(data + bytes, kGap, static_cast<std::size_t>(GapEnd(data, block) - (data + bytes)));
  }
  used_ += Up(bytes, kAlignment);
  live_.emplace(data, block);
  return data;
}

char* DeviceMemory::TakeSmall(std::size_t bytes, Block& block) {
  block.taken = Up(bytes, kAlignment) + kAlignment;
  const char* const never_used = small_.top();
  char* const data = small_.Take(block.taken);
  if (data == nullptr) return nullptr;
  if (!kAddressSanitizer && data < never_used && !IsFilled(data, block.taken, kFresh)) {
    Die("device %d: something wrote to the %zu bytes at %p after they were freed; AddressSanitizer can tell where",
        device_, block.taken, static_cast<void*>(data));
  }
  if (data + block.taken > committed_) {
    char* const end = small_.base() + Up(static_cast<std::size_t>(data + block.taken - small_.base()), kHuge);
    if (mprotect(committed_, static_cast<std::size_t>(end - committed_), PROT_READ | PROT_WRITE) != 0) return nullptr;
    Poison(committed_, static_cast<std::size_t>(end - committed_));
    committed_ = end;
  }
  return data;
}

char* DeviceMemory::TakeLarge(std::size_t bytes, Block& block) {
  block.taken = Up(Up(bytes, Page()) + Page(), kHuge);  // a page at least stays closed behind it
  char* const data = large_.Take(block.taken);
  if (data == nullptr || mprotect(data, Up(bytes, Page()), PROT_READ | PROT_WRITE) != 0) return nullptr;
  return data;
}

char* DeviceMemory::GapEnd(char* data, const Block& block) const {
  return data + (block.large ? Up(block.bytes, Page()) : block.taken);
}

bool DeviceMemory::Free(void* data) {
  const std::lock_guard lock(mutex_);
  const auto found = live_.find(static_cast<char*>(data));
  if (found == live_.end()) return false;
  CheckGap(found->first, found->second);
  Give(found->first, found->second);
  live_.erase(found);
  return true;
}

void DeviceMemory::Reset() {
  const std::lock_guard lock(mutex_);
  for (const auto& [data, block] : live_) {
    CheckGap(data, block);
    Give(data, block);
  }
  live_.clear();
}

void DeviceMemory::Give(char* data, const Block& block) {
  used_ -= Up(block.bytes, kAlignment);
  freed_.push_back({data, block.bytes});
  if (freed_.size() > kRemembered) freed_.pop_front();
  if (block.large) {
    Unpoison(data, Up(block.bytes, Page()));
    madvise(data, Up(block.bytes, Page()), MADV_DONTNEED);
    mprotect(data, Up(block.bytes, Page()), PROT_NONE);
    large_.Give(data, block.taken);
  } else {
    Unpoison(data, block.taken);
    std::memset(data, kFresh, block.taken);
    Poison(data, block.taken);
    small_.Give(data, block.taken);
  }
}

void DeviceMemory::CheckGap(char* data, const Block& block) const {
  if constexpr (kAddressSanitizer) return;
  char* const end = GapEnd(data, block);
  if (IsFilled(data + block.bytes, static_cast<std::size_t>(end - data) - block.bytes, kGap)) return;
  const auto* const changed =
      std::find_if(data + block.bytes, end, [](char byte) { return static_cast<unsigned char>(byte) != kGap; });
  Die("device %d: something wrote %zu bytes past the end of the %zu bytes at %p; AddressSanitizer can tell where",
      device_, static_cast<std::size_t>(changed - data) - block.bytes + 1, block.bytes, static_cast<void*>(data));
}

void DeviceMemory::CheckGaps() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [data, block] : live_) CheckGap(data, block);
}

bool DeviceMemory::Holds(const void* address) const {
  const auto* const byte = static_cast<const char*>(address);
  const char* const base = base_.load(std::memory_order_acquire);
  return base != nullptr && byte >= base && byte < base + span_;
}

Allocation DeviceMemory::Find(const void* address, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  auto* const byte = static_cast<char*>(const_cast<void*>(address));
  auto found = live_.upper_bound(byte);
  if (found == live_.begin()) return {};
  found = std::prev(found);
  const auto offset = static_cast<std::size_t>(byte - found->first);
  if (offset > found->second.bytes || bytes > found->second.bytes - offset) return {};
  return {found->first, found->second.bytes};
}

void DeviceMemory::Describe(const void* address, char* text, std::size_t bytes) const {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  const auto* const byte = static_cast<const char*>(address);
  std::snprintf(text, bytes, "in memory of device %d that was never allocated", device_);
  if (!lock.owns_lock()) return;
  if (const auto after = live_.upper_bound(const_cast<char*>(byte)); after != live_.begin()) {
    const auto& [data, block] = *std::prev(after);
    if (byte < data + block.bytes) {
      std::snprintf(text, bytes, "inside the %zu bytes at %p of device %d", block.bytes, static_cast<const void*>(data),
                    device_);
      return;
    }
    if (byte < data + block.taken) {
      std::snprintf(text, bytes, "%zu bytes past the end of the %zu bytes at %p of device %d",
                    static_cast<std::size_t>(byte - data) - block.bytes, block.bytes, static_cast<const void*>(data),
                    device_);
      return;
    }
  }
  const auto freed = std::find_if(freed_.rbegin(), freed_.rend(), [byte](const Allocation& allocation) {
    return byte >= allocation.data && byte < allocation.data + allocation.bytes;
  });
  if (freed != freed_.rend()) {
    std::snprintf(text, bytes, "inside the %zu bytes at %p of device %d that were freed", freed->bytes,
                  static_cast<const void*>(freed->data), device_);
  }
}

void DeviceMemory::Close() { Protect(PROT_NONE); }

void DeviceMemory::Open() { Protect(PROT_READ | PROT_WRITE); }

void DeviceMemory::Protect(int protection) {
  const std::lock_guard lock(mutex_);
  char* const base = small_.base();
  if (committed_ > base) mprotect(base, static_cast<std::size_t>(committed_ - base), protection);
  for (const auto& [data, block] : live_) {
    if (block.large) mprotect(data, Up(block.bytes, Page()), protection);
  }
}

}  // namespace lockstep::virtual_gpu
