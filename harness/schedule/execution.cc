#include "harness/schedule/execution.h"

#include <algorithm>

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;

constexpr std::int64_t kNever = -1;

class Machine {
 public:
  Machine(const Index& index, const Costs& costs, const Channels& channels, Receives receives)
      : index_(index), costs_(costs), channels_(channels), receives_(receives), ranks_(index.ranks()) {
    const auto size = static_cast<std::size_t>(index.size());
    result_.spans.resize(size);
    posted_.assign(size, kNever);
    arrival_.assign(size, kNever);
    waiter_.assign(size, kNone);
    previous_slot_.assign(size, kNone);
    result_.waits_for.assign(ranks_.size(), kNone);
    if (channels_.kind == ChannelKind::kBounded) FindSlots();
  }

  Execution Run() {
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) ready_.push_back(rank);
    while (!ready_.empty()) {
      const std::size_t rank = ready_.back();
      ready_.pop_back();
      Advance(rank);
    }
    for (const Rank& rank : ranks_) result_.cursors.push_back(rank.cursor);
    return std::move(result_);
  }

 private:
  struct Rank {
    std::size_t cursor = 0;
    std::int64_t clock = 0;
    Id last = kNone;
  };
  struct Start {
    std::int64_t time = 0;
    Id cause = kNone;
    void After(std::int64_t when, Id what) {
      if (when > time) *this = {when, what};
    }
  };

  // The k-th send of a channel needs the receive of the one `capacity` before it.
  void FindSlots() {
    std::vector<std::pair<std::pair<std::size_t, std::size_t>, Id>> sends;
    for (Id id = 0; id < index_.size(); ++id) {
      if (IsSend(index_.At(id).kind)) sends.emplace_back(index_.Channel(id), id);
    }
    std::stable_sort(sends.begin(), sends.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < sends.size(); ++i) {
      const auto capacity = static_cast<std::size_t>(channels_.capacity);
      if (i < capacity || sends[i - capacity].first != sends[i].first) continue;
      previous_slot_[static_cast<std::size_t>(sends[i].second)] = index_.Peer(sends[i - capacity].second);
    }
  }

  void Advance(std::size_t number) {
    Rank& rank = ranks_[number];
    const auto& line = index_.schedule().ranks[number];
    result_.waits_for[number] = kNone;
    while (rank.cursor < line.size()) {
      const std::size_t width = line[rank.cursor].with_next && rank.cursor + 1 < line.size() ? 2 : 1;
      const Id first = index_.IdOf(number, rank.cursor);
      Start start{rank.clock, rank.last};
      for (std::size_t i = 0; i < width; ++i) {
        const Id missing = Missing(first + static_cast<Id>(i), rank.clock, &start);
        if (missing == kNone) continue;
        result_.waits_for[number] = missing;
        waiter_[static_cast<std::size_t>(missing)] = static_cast<Id>(number);
        return;
      }
      std::int64_t end = start.time + (width == 2 ? FusedDuration(costs_, line[rank.cursor], line[rank.cursor + 1])
                                                  : Duration(costs_, line[rank.cursor]));
      rank.clock = end;
      rank.last = first + static_cast<Id>(width - 1);
      rank.cursor += width;
      for (std::size_t i = 0; i < width; ++i) Finish(first + static_cast<Id>(i), {start.time, end, start.cause});
    }
  }

  // What an action still waits for, or kNone and `start` moved to when all of it is there.
  Id Missing(Id id, std::int64_t now, Start* start) {
    const Action& action = index_.At(id);
    if (IsTransfer(action.kind)) {
      Post(id, now);
      return IsSend(action.kind) ? MissingOfSend(id, start) : MissingOfReceive(id, start);
    }
    if (action.kind == ActionKind::kAllReduce) {
      Post(id, now);
      for (const std::size_t holder : index_.RanksOf(action.stage)) {
        const Id other = index_.AllReduce(action.stage, holder);
        if (other == id || other == kNone) continue;
        if (Posted(other) == kNever) return other;
        start->After(Posted(other), other);
      }
      return kNone;
    }
    const Index::Needs needs = index_.NeedsOf(id);
    for (const Id need : needs) {
      // A receive stands for its message, which is on its way once the peer has sent it.
      const Id source = IsTransfer(index_.At(need).kind) ? index_.Peer(need) : need;
      if (index_.Rank(source) == index_.Rank(id)) {
        if (!Done(source)) return source;
        continue;
      }
      if (arrival_[static_cast<std::size_t>(source)] == kNever) return source;
      start->After(arrival_[static_cast<std::size_t>(source)], source);
    }
    return kNone;
  }

  Id MissingOfSend(Id id, Start* start) {
    const Index::Needs needs = index_.NeedsOf(id);
    const Id producer = needs.count == 0 ? kNone : needs.ids[0];
    if (producer != kNone && !Done(producer)) return producer;
    const Id wanted = channels_.kind == ChannelKind::kRendezvous ? index_.Peer(id)
                      : channels_.kind == ChannelKind::kBounded  ? previous_slot_[static_cast<std::size_t>(id)]
                                                                 : kNone;
    if (wanted == kNone) return kNone;
    if (Posted(wanted) == kNever) return wanted;
    start->After(Posted(wanted), wanted);
    return kNone;
  }

  Id MissingOfReceive(Id id, Start* start) {
    if (receives_ == Receives::kPost) return kNone;
    const Id send = index_.Peer(id);
    if (channels_.kind == ChannelKind::kRendezvous) {
      // Both ends meet; the send may not have gone on yet, but its message goes now.
      if (Posted(send) == kNever) return send;
      start->After(Posted(send), send);
      return kNone;
    }
    if (arrival_[static_cast<std::size_t>(send)] == kNever) return send;
    start->After(arrival_[static_cast<std::size_t>(send)], send);
    return kNone;
  }

  void Post(Id id, std::int64_t now) {
    if (Posted(id) != kNever) return;
    posted_[static_cast<std::size_t>(id)] = now;
    Wake(id);
    if (index_.At(id).kind != ActionKind::kAllReduce) return;
    const auto& holders = index_.RanksOf(index_.At(id).stage);
    ready_.insert(ready_.end(), holders.begin(), holders.end());  // more than one may wait for it
  }

  void Finish(Id id, const Span& span) {
    result_.spans[static_cast<std::size_t>(id)] = span;
    const Action& action = index_.At(id);
    if (IsSend(action.kind)) {
      const bool forward = action.kind == ActionKind::kSendForward;
      Transfer(id, index_.Channel(id), forward ? action.stage : action.stage - 1, span.end);
    } else if (!index_.has_transfers()) {
      HandOver(id, action, span.end);
    }
    Wake(id);
  }

  // Without transfers in the text: the result goes to the next stage, or its gradient to the one before.
  void HandOver(Id id, const Action& action, std::int64_t now) {
    const bool forward = action.kind == ActionKind::kForward;
    if (!forward && action.kind != ActionKind::kBackward && action.kind != ActionKind::kInputGradient) return;
    const std::int64_t other = action.stage + (forward ? 1 : -1);
    const Id there = index_.Find(other, ActionKind::kForward, action.micro_batch);
    if (there == kNone || index_.Rank(there) == index_.Rank(id)) return;
    Transfer(id, {index_.Rank(id), index_.Rank(there)}, std::min(action.stage, other), now);
  }

  void Transfer(Id id, const std::pair<std::size_t, std::size_t>& channel, std::int64_t stage, std::int64_t now) {
    std::int64_t& free = LinkFree(channel);
    free = std::max(free, now) + TransferTicks(costs_, stage);
    arrival_[static_cast<std::size_t>(id)] = free + costs_.latency;
  }

  std::int64_t& LinkFree(const std::pair<std::size_t, std::size_t>& channel) {
    std::vector<std::pair<std::size_t, std::int64_t>>& links = links_[channel.first];
    for (auto& [target, free] : links) {
      if (target == channel.second) return free;
    }
    return links.emplace_back(channel.second, 0).second;
  }

  void Wake(Id id) {
    Id& rank = waiter_[static_cast<std::size_t>(id)];
    if (rank == kNone) return;
    ready_.push_back(static_cast<std::size_t>(rank));
    rank = kNone;
  }

  bool Done(Id id) const { return index_.Position(id) < ranks_[index_.Rank(id)].cursor; }
  std::int64_t Posted(Id id) const { return posted_[static_cast<std::size_t>(id)]; }

  const Index& index_;
  const Costs& costs_;
  const Channels& channels_;
  const Receives receives_;
  std::vector<Rank> ranks_;
  std::vector<std::int64_t> posted_;   // [id] when its rank came to a send, a receive or an all-reduce
  std::vector<std::int64_t> arrival_;  // [id] when what it sent is at the other rank
  std::vector<Id> waiter_;             // [id] the rank that waits for it
  std::vector<Id> previous_slot_;      // [id of a send] the receive that must have been posted
  std::vector<std::vector<std::pair<std::size_t, std::int64_t>>> links_{index_.ranks()};  // [rank] target, when free
  std::vector<std::size_t> ready_;
  Execution result_;
};

}  // namespace

std::string ToString(const Channels& channels) {
  switch (channels.kind) {
    case ChannelKind::kUnbounded:
      return "unbounded";
    case ChannelKind::kBounded:
      return "bounded " + std::to_string(channels.capacity);
    case ChannelKind::kRendezvous:
      return "rendezvous";
  }
  return "";
}

bool Execution::Complete() const {
  return std::all_of(waits_for.begin(), waits_for.end(), [](Id id) { return id == kNone; });
}

Execution Execute(const Index& index, const Costs& costs, const Channels& channels, Receives receives) {
  return Machine(index, costs, channels, receives).Run();
}

}  // namespace lockstep::schedule
