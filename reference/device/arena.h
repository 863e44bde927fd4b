// Memory in blocks that are kept and handed out again, so that a step in steady state asks the system for none: no
// page fault on a host, no cudaMalloc that stops a GPU.
//
// Blocks are recycled by their rounded size. A block may be given back while the device still uses it: whoever takes it
// next enqueues on the same stream. What is kept unused stays below what was once in use together; beyond that, or when
// the system has no more, all unused blocks go back. Under AddressSanitizer every block is one of its own, not rounded,
// so that an access beyond its end is seen. Counts nothing: MemoryLedger does. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define LOCKSTEP_EXACT_BLOCKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOCKSTEP_EXACT_BLOCKS 1
#endif
#endif

namespace lockstep::device {

#ifdef LOCKSTEP_EXACT_BLOCKS
constexpr bool kRecycles = false;  // by how the file that includes this is compiled
#else
constexpr bool kRecycles = true;
#endif

// System: where blocks come from.
//   static constexpr std::size_t kRounding;   sizes of blocks are multiples of it
//   static void* Take(std::size_t bytes);     nullptr where there is no more
//   static void Give(void* block) noexcept;   also in destructors: the next call that is checked tells an error
template <typename System>
class Arena {
 public:
  Arena() = default;
  ~Arena() { Release(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // nullptr where there is no more. An empty buffer has an address too.
  void* Take(std::size_t bytes) {
    const std::size_t rounded = Rounded(bytes);
    if (rounded == 0) return nullptr;
    void* data = nullptr;
    if (auto found = unused_.find(rounded); found != unused_.end() && !found->second.empty()) {
      data = found->second.back();
      found->second.pop_back();
      unused_bytes_ -= rounded;
    } else {
      data = System::Take(rounded);
      if (data == nullptr && unused_bytes_ > 0) {
        Release();
        data = System::Take(rounded);
      }
      if (data == nullptr) return nullptr;
    }
    used_bytes_ += rounded;
    most_used_ = std::max(most_used_, used_bytes_);
    return data;
  }

  // `bytes` as they were taken.
  void Give(void* data, std::size_t bytes) {
    const std::size_t rounded = Rounded(bytes);
    used_bytes_ -= rounded;
    if (!kRecycles) {
      System::Give(data);
      return;
    }
    unused_[rounded].push_back(data);
    unused_bytes_ += rounded;
    if (used_bytes_ + unused_bytes_ > 2 * most_used_) Release();
  }

 private:
  // Never 0, but where it is too large for a number.
  static std::size_t Rounded(std::size_t bytes) {
    constexpr std::size_t kUnit = kRecycles ? System::kRounding : 1;
    if (bytes > std::numeric_limits<std::size_t>::max() - kUnit) return 0;
    return std::max(kUnit, (bytes + kUnit - 1) / kUnit * kUnit);
  }

  void Release() {
    for (auto& [size, blocks] : unused_) {
      for (void* block : blocks) System::Give(block);
    }
    unused_.clear();
    unused_bytes_ = 0;
  }

  std::map<std::size_t, std::vector<void*>> unused_;  // by rounded size
  std::size_t unused_bytes_ = 0, used_bytes_ = 0, most_used_ = 0;
};

}  // namespace lockstep::device
