#include "reference/virtual_gpu/nccl/message.h"

#include <algorithm>
#include <cstring>

#include "reference/virtual_gpu/nccl/failure.h"

namespace lockstep::virtual_gpu::nccl {
namespace {

constexpr std::int64_t kHeading = sizeof(Description);

void Put(Lane& lane, std::uint64_t position, const void* data, std::int64_t bytes) {
  const auto at = static_cast<std::int64_t>(position % kLane);
  const std::int64_t first = std::min(bytes, kLane - at);
  if (first > 0) std::memcpy(lane.bytes + at, data, static_cast<std::size_t>(first));
  if (bytes > first) {
    std::memcpy(lane.bytes, static_cast<const char*>(data) + first, static_cast<std::size_t>(bytes - first));
  }
}

void Get(const Lane& lane, std::uint64_t position, void* data, std::int64_t bytes) {
  const auto at = static_cast<std::int64_t>(position % kLane);
  const std::int64_t first = std::min(bytes, kLane - at);
  if (first > 0) std::memcpy(data, lane.bytes + at, static_cast<std::size_t>(first));
  if (bytes > first) {
    std::memcpy(static_cast<char*>(data) + first, lane.bytes, static_cast<std::size_t>(bytes - first));
  }
}

}  // namespace

Message::Message(Region& region, int rank, const Call& call)
    : region_(region),
      rank_(rank),
      call_(call),
      lane_(call.description.kind == Kind::kSend ? region.lane(rank, call.description.peer)
                                                 : region.lane(call.description.peer, rank)),
      bytes_(static_cast<std::int64_t>(call.description.count) * SizeOfType(call.description.type)) {}

bool Sending::Progress() {
  std::uint64_t written = lane_.written.load(std::memory_order_relaxed);
  const std::uint64_t taken = lane_.taken.load(std::memory_order_acquire);
  if (Through()) {
    done_ = taken >= end_;
    return done_;
  }
  const std::uint64_t before = written;
  std::int64_t room = kLane - static_cast<std::int64_t>(written - taken);
  if (!begun_ && room >= kHeading) {
    Put(lane_, written, &call_.description, kHeading);
    written += kHeading;
    room -= kHeading;
    begun_ = true;
  }
  if (begun_) {
    const std::int64_t some = std::min(room, left());
    Put(lane_, written, static_cast<const char*>(call_.send) + moved_, some);
    written += static_cast<std::uint64_t>(some);
    moved_ += some;
    end_ = written;
  }
  if (written == before) return false;
  lane_.written.store(written, std::memory_order_release);
  region_.member(call_.description.peer).operations.Ring();
  return true;
}

bool Receiving::Progress() {
  std::uint64_t taken = lane_.taken.load(std::memory_order_relaxed);
  const std::uint64_t written = lane_.written.load(std::memory_order_acquire);
  const std::uint64_t before = taken;
  std::int64_t there = static_cast<std::int64_t>(written - taken);
  if (!begun_) {
    if (there < kHeading) return false;
    Description sent;
    Get(lane_, taken, &sent, kHeading);
    Check(sent);
    taken += kHeading;
    there -= kHeading;
    begun_ = true;
  }
  const std::int64_t some = std::min(there, left());
  Get(lane_, taken, static_cast<char*>(call_.receive) + moved_, some);
  taken += static_cast<std::uint64_t>(some);
  moved_ += some;
  done_ = left() == 0;
  if (taken == before) return false;
  lane_.taken.store(taken, std::memory_order_release);
  region_.member(call_.description.peer).operations.Ring();
  return true;
}

void Receiving::Check(const Description& sent) const {
  const Description& expected = call_.description;
  if (sent.count == expected.count && sent.type == expected.type) return;
  const std::string ranks = " of " + std::to_string(region_.ranks());
  throw Failure{ncclInvalidUsage, "rank " + std::to_string(expected.peer) + ranks + " called " + Words(sent) +
                                      ", rank " + std::to_string(rank_) + " called " + Words(expected)};
}

}  // namespace lockstep::virtual_gpu::nccl
