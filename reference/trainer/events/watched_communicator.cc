#include "reference/trainer/events/watched_communicator.h"

#include <string>
#include <utility>

namespace lockstep::trainer {
namespace {

using device::Communicator;
using device::WorkHandle;
using protocol::CursorState;

class WatchedWork : public device::Work {
 public:
  WatchedWork(WorkHandle inner, Activity& activity, const Activity::Waiting& waiting, Recorder::Id event)
      : inner_(std::move(inner)), activity_(activity), waiting_(waiting), event_(event) {}

  void Wait() override {
    if (inner_->Done()) return Take();
    inner_->AwaitOwnWork();
    const Activity::Wait wait(activity_, waiting_, std::exchange(event_, Recorder::kNone));
    inner_->Wait();
  }
  bool Done() override { return inner_->Done(); }
  void AwaitOwnWork() override { inner_->AwaitOwnWork(); }
  std::int64_t EndedAt() override { return inner_->EndedAt(); }

 private:
  // Nothing to wait for, unless it failed: then the cursor says in what.
  void Take() {
    try {
      inner_->Wait();
    } catch (...) {
      const Activity::Wait wait(activity_, waiting_, Recorder::kNone);
      throw;
    }
  }

  WorkHandle inner_;
  Activity& activity_;
  Activity::Waiting waiting_;
  Recorder::Id event_;
};

class WatchedCommunicator : public Communicator {
 public:
  WatchedCommunicator(std::unique_ptr<Communicator> inner, Activity& activity, WatchedGroup group)
      : inner_(std::move(inner)), activity_(activity), group_(std::move(group)) {}

  int Rank() const override { return inner_->Rank(); }
  int Size() const override { return inner_->Size(); }

  WorkHandle AllReduce(std::int64_t n, float* x, device::Reduction reduction) override {
    return Collective(CollectiveKind::kAllReduce, n, [&] { return inner_->AllReduce(n, x, reduction); });
  }
  WorkHandle AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) override {
    return Collective(CollectiveKind::kAllGather, Sum(counts), [&] { return inner_->AllGather(counts, part, whole); });
  }
  WorkHandle ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) override {
    return Collective(CollectiveKind::kReduceScatter, Sum(counts),
                      [&] { return inner_->ReduceScatter(counts, whole, part); });
  }
  WorkHandle Broadcast(std::int64_t n, float* x, int root) override {
    return Collective(CollectiveKind::kBroadcast, n, [&] { return inner_->Broadcast(n, x, root); });
  }
  WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    const Recorder::Id event = AddMessage(n, peer, edge, true);
    return Watch(inner_->Send(n, x, peer, edge), {CursorState::kSending, World(peer), edge}, event);
  }
  WorkHandle Receive(std::int64_t n, float* x, int peer, const device::Edge& edge) override {
    const Recorder::Id event = AddMessage(n, peer, edge, false);
    return Watch(inner_->Receive(n, x, peer, edge), {CursorState::kReceiving, World(peer), edge}, event);
  }
  void SumOnHost(std::span<double> values) override {
    OnHost(CollectiveKind::kHostSum, [&] { inner_->SumOnHost(values); });
  }
  void MaxOnHost(std::span<double> values) override {
    OnHost(CollectiveKind::kHostMax, [&] { inner_->MaxOnHost(values); });
  }
  std::vector<std::string> GatherOnHost(const std::string& mine) override {
    std::vector<std::string> all;
    OnHost(CollectiveKind::kHostGather, [&] { all = inner_->GatherOnHost(mine); });
    return all;
  }
  void Barrier() override {
    OnHost(CollectiveKind::kBarrier, [&] { inner_->Barrier(); });
  }
  // Not of the plan: nobody watches it.
  std::unique_ptr<Communicator> Split(int color, int key) override { return inner_->Split(color, key); }

 private:
  static std::int64_t Sum(std::span<const std::int64_t> counts) {
    std::int64_t sum = 0;
    for (const std::int64_t count : counts) sum += count;
    return sum;
  }
  std::int64_t World(int peer) const { return group_.members[static_cast<std::size_t>(peer)]; }
  Activity::Waiting InGroup(CollectiveKind kind) const {
    return {.state = CursorState::kCollective,
            .peer = -1,
            .edge = {},
            .group = group_.name,
            .number = collectives_ - 1,
            .operation = 1 + static_cast<std::uint32_t>(kind)};
  }

  Recorder::Id AddMessage(std::int64_t n, int peer, const device::Edge& edge, bool send) {
    Recorder& recorder = activity_.recorder();
    const Recorder::Id id = recorder.Add(EventKind::kMessage, Now());
    if (Event* event = recorder.Find(id)) {
      event->number = World(peer);
      event->send = send;
      event->backward = edge.direction != 0;
      event->stage = edge.source_stage;
      event->target_stage = edge.target_stage;
      event->micro_batch = edge.micro_batch;
      event->bytes = n * static_cast<std::int64_t>(sizeof(float));
    }
    return id;
  }

  Recorder::Id AddCollective(CollectiveKind kind, std::int64_t bytes) {
    Recorder& recorder = activity_.recorder();
    const std::int64_t number = collectives_++;
    const Recorder::Id id = recorder.Add(EventKind::kCollective, Now());
    if (Event* event = recorder.Find(id)) {
      event->what = static_cast<std::uint8_t>(kind);
      event->group = group_.kind;
      event->number = number;
      event->bytes = bytes;
    }
    return id;
  }

  WorkHandle Watch(WorkHandle inner, const Activity::Waiting& waiting, Recorder::Id event) {
    auto work = std::make_shared<WatchedWork>(std::move(inner), activity_, waiting, event);
    activity_.recorder().Ends(event, work);
    return work;
  }

  template <typename Start>
  WorkHandle Collective(CollectiveKind kind, std::int64_t n, const Start& start) {
    const Recorder::Id event = AddCollective(kind, n * static_cast<std::int64_t>(sizeof(float)));
    return Watch(start(), InGroup(kind), event);
  }

  template <typename Call>
  void OnHost(CollectiveKind kind, const Call& call) {
    const Recorder::Id id = AddCollective(kind, 0);
    {
      const Activity::Wait wait(activity_, InGroup(kind), id);
      call();
    }
    if (Event* event = activity_.recorder().Find(id)) event->ended = event->wait_ended;
  }

  std::unique_ptr<Communicator> inner_;
  Activity& activity_;
  WatchedGroup group_;
  std::int64_t collectives_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> Watched(std::unique_ptr<Communicator> inner, Activity& activity, WatchedGroup group) {
  if (inner->Size() == 1) return inner;
  return std::make_unique<WatchedCommunicator>(std::move(inner), activity, std::move(group));
}

StrayWatch::StrayWatch(Communicator& world, Activity& activity) : world_(world) {
  world_.WatchForStrays([&cursor = activity.cursor()](const std::optional<device::Stray>& stray) {
    const std::int32_t rank = stray ? 1 + stray->rank : 0;
    cursor.SetStray(stray && stray->direction != 0 ? -rank : rank);
  });
}

StrayWatch::~StrayWatch() { world_.WatchForStrays({}); }

}  // namespace lockstep::trainer
