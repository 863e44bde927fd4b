#include "reference/virtual_gpu/nccl/order.h"

#include <algorithm>
#include <string>

namespace lockstep::virtual_gpu::nccl {
namespace {

struct Open {  // an operation that has not ended
  Description description;
  std::uint64_t index;
};

struct Standing {
  std::uint64_t group = 0;
  std::vector<Open> open;  // none: it runs no group, or one too long to be listed

  bool Running() const { return !open.empty(); }
};

Standing Look(const Member& member) {
  Standing standing;
  standing.group = member.group.load(std::memory_order_acquire);
  if (standing.group % 2 == 0 || member.listed > kListed) return standing;
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(member.listed, kListed); ++i) {
    const Listed& each = member.list[i];
    if (each.done.load(std::memory_order_acquire) == 0) standing.open.push_back({each.description, each.index});
  }
  return standing;
}

// Everybody twice. Who was in the same group both times was in it, at one moment between the two, with all others of
// whom that is true; and what was open the second time was open then.
std::vector<Standing> LookTwice(const Region& region) {
  std::vector<Standing> standings;
  for (int rank = 0; rank < region.ranks(); ++rank) standings.push_back(Look(region.member(rank)));
  for (int rank = 0; rank < region.ranks(); ++rank) {
    Standing now = Look(region.member(rank));
    const bool same = now.group == standings[static_cast<std::size_t>(rank)].group;
    standings[static_cast<std::size_t>(rank)] = same ? std::move(now) : Standing{};
  }
  return standings;
}

// Whether `rank`, in `open`, waits for a call that `other` has not made. The counts grow: one that is too small now was
// too small before.
bool Lacks(const Region& region, int rank, const Open& open, int other) {
  const Description& is = open.description;
  if (!is.PointToPoint()) {
    return other != rank && region.member(other).collectives_started.load(std::memory_order_acquire) <= open.index;
  }
  if (is.peer != other) return false;
  const bool sends = is.kind == Kind::kSend;
  const Lane& lane = sends ? region.lane(rank, other) : region.lane(other, rank);
  return (sends ? lane.messages_received : lane.messages_sent).load(std::memory_order_acquire) <= open.index;
}

class Search {
 public:
  Search(const Region& region, int rank)
      : region_(region), rank_(rank), standings_(LookTwice(region)), seen_(standings_.size()) {}

  // Says the circle's waits, from `from` on, or nothing.
  std::string From(int from) {
    for (const Open& open : standings_[static_cast<std::size_t>(from)].open) {
      for (int other = 0; other < region_.ranks(); ++other) {
        if (!standings_[static_cast<std::size_t>(other)].Running() || !Lacks(region_, from, open, other)) continue;
        const std::string wait = "rank " + std::to_string(from) + " waits in " + Words(open.description) +
                                 (open.description.PointToPoint() ? "" : " for rank " + std::to_string(other));
        if (other == rank_) return wait;
        if (seen_[static_cast<std::size_t>(other)]) continue;
        seen_[static_cast<std::size_t>(other)] = true;
        const std::string rest = From(other);
        if (!rest.empty()) return wait + "; " + rest;
      }
    }
    return "";
  }

 private:
  const Region& region_;
  int rank_;
  std::vector<Standing> standings_;
  std::vector<bool> seen_;
};

}  // namespace

void ListGroup(Region& region, int rank, const std::vector<Call>& calls) {
  Member& me = region.member(rank);
  me.listed = static_cast<std::uint32_t>(calls.size());
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const Description& is = calls[i].description;
    std::uint64_t index;
    if (!is.PointToPoint()) {
      index = me.collectives_started.fetch_add(1, std::memory_order_acq_rel);
    } else if (is.kind == Kind::kSend) {
      index = region.lane(rank, is.peer).messages_sent.fetch_add(1, std::memory_order_acq_rel);
    } else {
      index = region.lane(is.peer, rank).messages_received.fetch_add(1, std::memory_order_acq_rel);
    }
    if (i >= kListed) continue;
    me.list[i].description = is;
    me.list[i].index = index;
    me.list[i].done.store(0, std::memory_order_relaxed);
  }
  me.group.fetch_add(1, std::memory_order_acq_rel);
}

void UnlistGroup(Region& region, int rank) { region.member(rank).group.fetch_add(1, std::memory_order_acq_rel); }

std::optional<Failure> FindCircle(const Region& region, int rank) {
  const std::string waits = Search(region, rank).From(rank);
  if (waits.empty()) return std::nullopt;
  return Failure{ncclInvalidUsage, "the " + std::to_string(region.ranks()) +
                                       " ranks make their calls in different orders, and wait in a circle: " + waits};
}

}  // namespace lockstep::virtual_gpu::nccl
