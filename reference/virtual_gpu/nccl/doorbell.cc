#include "reference/virtual_gpu/nccl/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <ctime>

namespace lockstep::virtual_gpu::nccl {
namespace {

// Not FUTEX_PRIVATE_FLAG: sleepers and ringers are different processes.
long Futex(std::atomic<std::uint32_t>* word, int operation, std::uint32_t value, const timespec* longest) {
  return syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(word), operation, value, longest, nullptr, 0);
}

}  // namespace

void Doorbell::Ring() {
  count_.fetch_add(1, std::memory_order_seq_cst);
  if (resting_.load(std::memory_order_seq_cst) != 0) Futex(&count_, FUTEX_WAKE, INT_MAX, nullptr);
}

bool Doorbell::Rest(std::uint32_t count, std::chrono::nanoseconds longest) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest);
  const timespec time{static_cast<std::time_t>(seconds.count()), static_cast<long>((longest - seconds).count())};
  resting_.store(1, std::memory_order_seq_cst);
  const bool timed_out = Futex(&count_, FUTEX_WAIT, count, &time) == -1 && errno == ETIMEDOUT;
  resting_.store(0, std::memory_order_seq_cst);
  return !timed_out;
}

}  // namespace lockstep::virtual_gpu::nccl
