#include "reference/trainer/groups.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "reference/trainer/seams.h"

namespace lockstep::trainer {
namespace {

using device::Communicator;
using device::WorkHandle;

class Stopwatch {
 public:
  explicit Stopwatch(IdleClock& clock) : clock_(clock) {}
  ~Stopwatch() { clock_.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  IdleClock& clock_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class TimedWork : public device::Work {
 public:
  TimedWork(WorkHandle inner, IdleClock& clock) : inner_(std::move(inner)), clock_(clock) {}
  void Wait() override {
    inner_->AwaitOwnWork();
    Stopwatch watch(clock_);
    inner_->Wait();
  }
  bool Done() override { return inner_->Done(); }

 private:
  WorkHandle inner_;
  IdleClock& clock_;
};

class TimedCommunicator : public Communicator {
 public:
  TimedCommunicator(std::unique_ptr<Communicator> inner, IdleClock& clock) : inner_(std::move(inner)), clock_(clock) {}
  int Rank() const override { return inner_->Rank(); }
  int Size() const override { return inner_->Size(); }
  WorkHandle AllReduce(std::int64_t n, float* x, device::Reduction reduction) override {
    return Wrap(inner_->AllReduce(n, x, reduction));
  }
  WorkHandle AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) override {
    return Wrap(inner_->AllGather(counts, part, whole));
  }
  WorkHandle ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) override {
    return Wrap(inner_->ReduceScatter(counts, whole, part));
  }
  WorkHandle Broadcast(std::int64_t n, float* x, int root) override { return Wrap(inner_->Broadcast(n, x, root)); }
  WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    return Wrap(inner_->Send(n, x, peer, edge));
  }
  WorkHandle Receive(std::int64_t n, float* x, int peer, const device::Edge& edge) override {
    return Wrap(inner_->Receive(n, x, peer, edge));
  }
  void SumOnHost(std::span<double> values) override {
    Stopwatch watch(clock_);
    inner_->SumOnHost(values);
  }
  void MaxOnHost(std::span<double> values) override {
    Stopwatch watch(clock_);
    inner_->MaxOnHost(values);
  }
  std::vector<std::string> GatherOnHost(const std::string& mine) override {
    Stopwatch watch(clock_);
    return inner_->GatherOnHost(mine);
  }
  void Barrier() override {
    Stopwatch watch(clock_);
    inner_->Barrier();
  }
  std::unique_ptr<Communicator> Split(int color, int key) override { return Timed(inner_->Split(color, key), clock_); }

 private:
  WorkHandle Wrap(WorkHandle work) { return std::make_shared<TimedWork>(std::move(work), clock_); }

  std::unique_ptr<Communicator> inner_;
  IdleClock& clock_;
};

}  // namespace

std::unique_ptr<Communicator> Timed(std::unique_ptr<Communicator> inner, IdleClock& clock) {
  return std::make_unique<TimedCommunicator>(std::move(inner), clock);
}

Groups MakeGroups(Communicator& world, const protocol::Plan& plan, const Wiring& wiring, bool tied, Seams& seams,
                  IdleClock& clock) {
  const protocol::Coordinates at = plan.At(world.Rank());
  const auto split = [&](GroupKind kind, std::int64_t color, std::int64_t key) {
    auto group = world.Split(static_cast<int>(color), static_cast<int>(key));
    return Timed(seams.WrapCommunicator(kind, std::move(group), plan, at), clock);
  };
  const std::int64_t column = at.data * plan.tensor + at.tensor;  // the same on all pipeline ranks
  const std::int64_t columns = plan.data * plan.tensor;
  // A rank that holds both ends adds their gradients by itself.
  const bool tied_across = tied && wiring.StandsOn(0, at.pipeline) != wiring.StandsOn(wiring.stages() - 1, at.pipeline);
  const std::vector<std::int64_t> stages = wiring.StagesOn(at.pipeline);
  const std::int64_t first = stages.empty() ? at.pipeline : wiring.RanksOf(stages.front()).front();
  Groups groups;
  groups.world = split(GroupKind::kWorld, 0, world.Rank());
  groups.data = split(GroupKind::kData, at.pipeline * plan.tensor + at.tensor, at.data);
  groups.tensor = split(GroupKind::kTensor, at.pipeline * plan.data + at.data, at.tensor);
  groups.pipeline = split(GroupKind::kPipeline, column, at.pipeline);
  groups.forward = split(GroupKind::kForwardLink, column, at.pipeline);
  groups.backward = split(GroupKind::kBackwardLink, column, at.pipeline);
  groups.tied = split(GroupKind::kTied, tied_across ? column : columns + world.Rank(), at.pipeline);
  groups.mirror = split(GroupKind::kMirror, column * plan.pipeline + first, at.pipeline);
  return groups;
}

}  // namespace lockstep::trainer
