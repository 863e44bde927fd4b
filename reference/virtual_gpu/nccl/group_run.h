// The operations of one group as one rank runs them: collectives one after another, in the order of their calls, and
// messages beside them, those of a pair in order.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "reference/virtual_gpu/nccl/collective.h"
#include "reference/virtual_gpu/nccl/message.h"

namespace lockstep::virtual_gpu::nccl {

class GroupRun {
 public:
  GroupRun(Region& region, int rank, const std::vector<Call>& calls, std::uint64_t& steps);
  GroupRun(const GroupRun&) = delete;
  GroupRun& operator=(const GroupRun&) = delete;
  ~GroupRun();

  bool Progress();  // false: nothing could be done
  bool Done() const { return unfinished_ == 0; }
  bool Needs(int rank) const;
  std::string Words() const;  // what does not end: "all-reduce of 12 float32", "send of ... and 3 more"
  // How much longer the group takes over the links that a rehearsal imagines; 0 or less: it is over.
  std::chrono::nanoseconds ImaginedRest() const;

 private:
  template <typename T>
  struct Placed {
    std::unique_ptr<T> operation;
    std::size_t place;  // among the group's calls
  };

  void End(std::size_t place);
  bool ProgressCollectives();
  bool ProgressMessages();

  std::vector<Placed<Collective>> collectives_;
  std::vector<Placed<Message>> messages_;
  std::vector<Description> descriptions_;
  std::vector<bool> busy_;  // by direction and peer: an earlier message of the pair is not through
  Region& region_;
  int rank_;
  std::size_t unfinished_;
  std::optional<std::chrono::steady_clock::time_point> met_;  // when first an operation met its peers
};

}  // namespace lockstep::virtual_gpu::nccl
