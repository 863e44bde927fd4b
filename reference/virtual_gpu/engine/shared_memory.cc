#include "reference/virtual_gpu/engine/shared_memory.h"

#include <sys/mman.h>

#include <cstring>

#include "reference/virtual_gpu/engine/report.h"
#include "reference/virtual_gpu/engine/sanitizers.h"

namespace lockstep::virtual_gpu {
namespace {

constexpr std::size_t kGuard = 64 << 10;  // a page of any system
constexpr std::size_t kRoom = (kMaxSharedBytes + kGuard) / kGuard * kGuard;

}  // namespace

SharedMemory::~SharedMemory() {
  if (memory_ == nullptr) return;
  Unpoison(memory_, kRoom);
  munmap(memory_, kRoom + kGuard);
}

void SharedMemory::Begin(std::size_t bytes) {
  if (bytes == 0 && data_ == nullptr) return;
  if (memory_ == nullptr) {
    void* const memory =
        mmap(nullptr, kRoom + kGuard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) Die("no memory for a block's shared memory");
    memory_ = static_cast<char*>(memory);
    mprotect(memory_ + kRoom, kGuard, PROT_NONE);
    Poison(memory_, kRoom);
  }
  if (bytes != bytes_) {
    Poison(memory_, kRoom);
    data_ = bytes == 0 ? nullptr : memory_ + kRoom - (bytes + 15) / 16 * 16;
    bytes_ = bytes;
    if (bytes != 0) Unpoison(data_, bytes);
  }
  if (bytes != 0) std::memset(data_, 0xFF, bytes);
}

bool SharedMemory::GuardHolds(const void* address) const {
  const auto* const byte = static_cast<const char*>(address);
  return memory_ != nullptr && byte >= memory_ + kRoom && byte < memory_ + kRoom + kGuard;
}

}  // namespace lockstep::virtual_gpu
