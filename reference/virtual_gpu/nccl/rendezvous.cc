#include "reference/virtual_gpu/nccl/rendezvous.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reference/virtual_gpu/engine/sanitizers.h"
#include "reference/virtual_gpu/nccl/failure.h"
#include "reference/virtual_gpu/nccl/region.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

constexpr char kMark[8] = {'v', 'i', 'r', 't', 'N', 'C', 'C', 'L'};

// What an ncclUniqueId holds.
struct Id {
  char mark[sizeof kMark];
  unsigned char random[16];
  std::int32_t process;
};
static_assert(sizeof(Id) <= NCCL_UNIQUE_ID_BYTES);

struct Request {
  std::int32_t ranks, rank;
};
struct Reply {
  std::int32_t accepted;
  char why[252];
};

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  int get() const { return value_; }
  int Release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

[[noreturn]] void Throw(const char* what) {
  throw Failure{ncclSystemError, std::string(what) + ": " + std::strerror(errno)};
}

sockaddr_un AddressOf(const Id& id, socklen_t& length) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  int at = std::snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "lockstep-virtual-nccl-");
  for (const unsigned char byte : id.random) {
    at += std::snprintf(address.sun_path + 1 + at, sizeof address.sun_path - 1 - static_cast<std::size_t>(at), "%02x",
                        byte);
  }
  length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<std::size_t>(at));
  return address;
}

bool ReceiveAll(int socket, void* data, std::size_t bytes) {
  return recv(socket, data, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
}

// `memory` travels with the reply where it is not -1.
void SendReply(int socket, const Reply& reply, int memory) {
  iovec part{const_cast<Reply*>(&reply), sizeof reply};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (memory >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &memory, sizeof memory);
  }
  sendmsg(socket, &message, MSG_NOSIGNAL);
}

// Gives each rank its place, once.
class Host {
 public:
  // Why the request is refused; "" where it is not.
  std::string Admit(const Request& request) {
    if (request.ranks < 1 || request.ranks > kMaxRanks) return "a communicator has 1 to 64 ranks";
    if (ranks_ == 0 && !Create(request.ranks)) return std::string("no memory to share: ") + std::strerror(errno);
    if (request.ranks != ranks_) {
      return "rank " + std::to_string(request.rank) + " says that there are " + std::to_string(request.ranks) +
             " ranks, the first to come said " + std::to_string(ranks_);
    }
    if (request.rank < 0 || request.rank >= ranks_) {
      return "rank " + std::to_string(request.rank) + " of " + std::to_string(ranks_);
    }
    if (taken_[static_cast<std::size_t>(request.rank)]) return "two are rank " + std::to_string(request.rank);
    taken_[static_cast<std::size_t>(request.rank)] = true;
    ++present_;
    return "";
  }
  bool Complete() const { return ranks_ > 0 && present_ == ranks_; }
  int memory() const { return memory_.get(); }

  // Those who wait for the refused rank learn why it won't come.
  void Tell(const std::string& why) {
    if (ranks_ == 0) return;
    Region region(dup(memory_.get()), ranks_);
    if (region.Valid()) region.Record({ncclInvalidUsage, why});
  }

 private:
  bool Create(int ranks) {
    Descriptor made(memfd_create("lockstep-virtual-nccl", MFD_CLOEXEC));
    if (made.get() < 0 || ftruncate(made.get(), static_cast<off_t>(Region::BytesFor(ranks))) != 0) return false;
    memory_ = std::move(made);
    ranks_ = ranks;
    taken_.assign(static_cast<std::size_t>(ranks), false);
    return true;
  }

  Descriptor memory_{-1};
  int ranks_ = 0, present_ = 0;
  std::vector<bool> taken_;
};

void Serve(Descriptor listener) {
  Host host;
  while (!host.Complete()) {
    const Descriptor peer(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (peer.get() < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      std::fprintf(stderr, "virtual NCCL: a unique id's socket: %s\n", std::strerror(errno));
      return;
    }
    const timeval patience{10, 0};  // with one who connects and says nothing
    setsockopt(peer.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    Request request{};
    if (!ReceiveAll(peer.get(), &request, sizeof request)) continue;
    const std::string why = host.Admit(request);
    Reply reply{};
    reply.accepted = why.empty();
    std::snprintf(reply.why, sizeof reply.why, "%s", why.c_str());
    SendReply(peer.get(), reply, why.empty() ? host.memory() : -1);
    if (!why.empty()) host.Tell(why);
  }
}

}  // namespace

ncclUniqueId MakeUniqueId() {
  Id id{};
  std::memcpy(id.mark, kMark, sizeof kMark);
  id.process = getpid();
  if (getrandom(id.random, sizeof id.random, 0) != sizeof id.random) Throw("getrandom");
  Descriptor listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  socklen_t length = 0;
  const sockaddr_un address = AddressOf(id, length);
  if (listener.get() < 0 || bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      listen(listener.get(), kMaxRanks) != 0) {
    Throw("a socket for a unique id");
  }
  std::thread([held = std::make_shared<Descriptor>(std::move(listener))] {
    const OwnAffairs own;
    Serve(std::move(*held));
  }).detach();
  ncclUniqueId opaque{};
  std::memcpy(opaque.internal, &id, sizeof id);
  return opaque;
}

int Join(const ncclUniqueId& opaque, int ranks, int rank) {
  Id id;
  std::memcpy(&id, opaque.internal, sizeof id);
  if (std::memcmp(id.mark, kMark, sizeof kMark) != 0) {
    throw Failure{ncclInvalidArgument, "the unique id is not one of ncclGetUniqueId's"};
  }
  socklen_t length = 0;
  const sockaddr_un address = AddressOf(id, length);
  const Descriptor host(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (host.get() < 0) Throw("a socket");
  if (connect(host.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    throw Failure{ncclSystemError, "nobody answers for the unique id: process " + std::to_string(id.process) +
                                       ", which made it, has ended, or all its ranks have come"};
  }
  const Request request{ranks, rank};
  send(host.get(), &request, sizeof request, MSG_NOSIGNAL);
  Reply reply{};
  iovec part{&reply, sizeof reply};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(host.get(), &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != static_cast<ssize_t>(sizeof reply)) {
    throw Failure{ncclSystemError, "process " + std::to_string(id.process) + " ended before it gave rank " +
                                       std::to_string(rank) + " its place"};
  }
  if (reply.accepted == 0) throw Failure{ncclInvalidUsage, reply.why};
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    throw Failure{ncclInternalError, "no memory came with the place"};
  }
  int memory = -1;
  std::memcpy(&memory, CMSG_DATA(header), sizeof memory);
  return memory;
}

}  // namespace lockstep::virtual_gpu::nccl
