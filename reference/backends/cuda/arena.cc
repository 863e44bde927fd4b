#include "reference/backends/cuda/arena.h"

#include <algorithm>
#include <limits>

#include "reference/backends/cuda/check.h"

namespace lockstep::backends::cuda {
namespace {

constexpr std::size_t kRounding = 512;

// Never 0, so that an empty buffer has an address too. 0: too large for a number.
std::size_t Rounded(std::size_t bytes) {
  if (!Arena::kRecycles) return std::max<std::size_t>(1, bytes);
  if (bytes > std::numeric_limits<std::size_t>::max() - kRounding) return 0;
  return std::max(kRounding, (bytes + kRounding - 1) / kRounding * kRounding);
}

void* Malloc(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());  // said by the caller
    return nullptr;
  }
  CUDA_CHECK(status);
  return data;
}

}  // namespace

Arena::~Arena() { Release(); }

void* Arena::Take(std::size_t bytes) {
  const std::size_t rounded = Rounded(bytes);
  if (rounded == 0) return nullptr;
  void* data = nullptr;
  if (auto found = unused_.find(rounded); found != unused_.end() && !found->second.empty()) {
    data = found->second.back();
    found->second.pop_back();
    unused_bytes_ -= rounded;
  } else {
    data = Malloc(rounded);
    if (data == nullptr && unused_bytes_ > 0) {
      Release();
      data = Malloc(rounded);
    }
    if (data == nullptr) return nullptr;
  }
  used_bytes_ += rounded;
  most_used_ = std::max(most_used_, used_bytes_);
  return data;
}

void Arena::Give(void* data, std::size_t bytes) {
  const std::size_t rounded = Rounded(bytes);
  used_bytes_ -= rounded;
  if (!kRecycles) {
    static_cast<void>(cudaFree(data));  // waits for the device; see Release
    return;
  }
  unused_[rounded].push_back(data);
  unused_bytes_ += rounded;
  if (used_bytes_ + unused_bytes_ > 2 * most_used_) Release();
}

// Runs in destructors: an error that the device is in already is told by the next call that is checked.
void Arena::Release() {
  for (auto& [size, blocks] : unused_) {
    for (void* block : blocks) static_cast<void>(cudaFree(block));
  }
  unused_.clear();
  unused_bytes_ = 0;
}

}  // namespace lockstep::backends::cuda
