#include "reference/virtual_gpu/nccl/peers.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "reference/virtual_gpu/nccl/failure.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

constexpr int kUnopened = -1, kOwnProcess = -2;

}  // namespace

Peers::Peers(const Region& region, int rank)
    : region_(region), rank_(rank), descriptors_(static_cast<std::size_t>(region.ranks()), kUnopened) {}

Peers::~Peers() {
  for (const int descriptor : descriptors_) {
    if (descriptor >= 0) close(descriptor);
  }
}

bool Peers::Ended(int rank, std::int32_t process) {
  const std::lock_guard lock(mutex_);
  int& descriptor = descriptors_[static_cast<std::size_t>(rank)];
  if (descriptor == kUnopened) {
    const int opened = process == getpid() ? kOwnProcess : static_cast<int>(syscall(SYS_pidfd_open, process, 0));
    if (opened == -1 && errno == ESRCH) return true;
    if (opened == -1) {
      throw Failure{ncclSystemError,
                    std::string("pidfd_open, by which a peer's death is seen: ") + std::strerror(errno)};
    }
    descriptor = opened;
  }
  if (descriptor == kOwnProcess) return false;
  pollfd ended{descriptor, POLLIN, 0};
  return poll(&ended, 1, 0) == 1;
}

std::optional<Peers::Gone> Peers::FindGone(bool processes, const std::function<bool(int rank)>& needed) {
  for (int rank = 0; rank < region_.ranks(); ++rank) {
    if (rank == rank_ || !needed(rank)) continue;
    const Member& member = region_.member(rank);
    switch (member.membership.load(std::memory_order_acquire)) {
      case Membership::kAbsent:
        break;
      case Membership::kLeft:
        return Gone{rank, "has left the communicator"};
      case Membership::kAborted:
        return Gone{rank, "has aborted the communicator"};
      case Membership::kJoined:
        const std::int32_t process = member.process.load(std::memory_order_acquire);
        if (processes && Ended(rank, process)) {
          return Gone{rank, "has died (process " + std::to_string(process) + ")"};
        }
    }
  }
  return std::nullopt;
}

}  // namespace lockstep::virtual_gpu::nccl
