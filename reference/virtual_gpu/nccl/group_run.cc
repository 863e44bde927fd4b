#include "reference/virtual_gpu/nccl/group_run.h"

#include <algorithm>

#include "reference/virtual_gpu/nccl/link.h"
#include "reference/virtual_gpu/nccl/order.h"

namespace lockstep::virtual_gpu::nccl {

GroupRun::GroupRun(Region& region, int rank, const std::vector<Call>& calls, std::uint64_t& steps)
    : busy_(static_cast<std::size_t>(region.ranks()) * 2), region_(region), rank_(rank), unfinished_(calls.size()) {
  for (std::size_t place = 0; place < calls.size(); ++place) {
    const Call& call = calls[place];
    descriptions_.push_back(call.description);
    if (!call.description.PointToPoint()) {
      collectives_.push_back({std::make_unique<Collective>(region, rank, call, steps), place});
    } else if (call.description.kind == Kind::kSend) {
      messages_.push_back({std::make_unique<Sending>(region, rank, call), place});
    } else {
      messages_.push_back({std::make_unique<Receiving>(region, rank, call), place});
    }
  }
  ListGroup(region, rank, calls);
}

GroupRun::~GroupRun() { UnlistGroup(region_, rank_); }

void GroupRun::End(std::size_t place) {
  --unfinished_;
  if (place < kListed) region_.member(rank_).list[place].done.store(1, std::memory_order_release);
}

bool GroupRun::Progress() {
  const bool collectives = ProgressCollectives(), messages = ProgressMessages();
  const auto met = [](const auto& each) { return each.operation->Met(); };
  if (!met_ && (std::any_of(collectives_.begin(), collectives_.end(), met) ||
                std::any_of(messages_.begin(), messages_.end(), met))) {
    met_ = std::chrono::steady_clock::now();
  }
  return collectives || messages;
}

bool GroupRun::ProgressCollectives() {
  bool moved = false;
  for (auto& [collective, place] : collectives_) {
    if (collective->Done()) continue;
    moved = collective->Progress() || moved;
    if (!collective->Done()) break;
    End(place);
  }
  return moved;
}

bool GroupRun::ProgressMessages() {
  bool moved = false;
  std::fill(busy_.begin(), busy_.end(), false);
  for (auto& [message, place] : messages_) {
    if (message->Done()) continue;
    const Description& is = message->description();
    const auto pair = static_cast<std::size_t>(is.peer) * 2 + (is.kind == Kind::kSend);
    if (busy_[pair]) continue;
    moved = message->Progress() || moved;
    busy_[pair] = !message->Through();
    if (message->Done()) End(place);
  }
  return moved;
}

bool GroupRun::Needs(int rank) const {
  const auto needs = [rank](const auto& each) { return each.operation->Needs(rank); };
  return std::any_of(collectives_.begin(), collectives_.end(), needs) ||
         std::any_of(messages_.begin(), messages_.end(), needs);
}

std::string GroupRun::Words() const {
  std::string words = nccl::Words(descriptions_.front());
  if (descriptions_.size() > 1) words = "a group of " + std::to_string(descriptions_.size()) + ", first " + words;
  return words;
}

std::chrono::nanoseconds GroupRun::ImaginedRest() const {
  const Link& link = LinkOfEnvironment();
  if (!link.Imagined() || !met_) return std::chrono::nanoseconds(0);
  return link.Duration(descriptions_, region_.ranks()) - (std::chrono::steady_clock::now() - *met_);
}

}  // namespace lockstep::virtual_gpu::nccl
