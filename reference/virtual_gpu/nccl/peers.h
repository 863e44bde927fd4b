// Whether the processes of the other ranks live. A process that ends, however, is seen by its pidfd: no heart beats.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "reference/virtual_gpu/nccl/region.h"

namespace lockstep::virtual_gpu::nccl {

class Peers {
 public:
  Peers(const Region& region, int rank);
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;
  ~Peers();

  struct Gone {
    int rank;
    std::string how;  // "has died (process 1234)"
  };
  // A rank that is `needed` and is a member no more or, with `processes`, whose process has ended (a system call for
  // each). Throws Failure where the kernel can't tell. Any thread may ask.
  std::optional<Gone> FindGone(bool processes, const std::function<bool(int rank)>& needed);

 private:
  bool Ended(int rank, std::int32_t process);

  std::mutex mutex_;
  const Region& region_;
  int rank_;
  std::vector<int> descriptors_;  // by rank; kUnopened, kOwnProcess or a pidfd
};

}  // namespace lockstep::virtual_gpu::nccl
