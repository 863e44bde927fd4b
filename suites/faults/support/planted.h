// Faults that strike once, at a message drawn from a seed: which link, which replica, which micro-batch, which step.
//
// Every rank draws the same from LOCKSTEP_FAULT_SEED (0 if absent) and the request. Who strikes says so first, in one
// line on standard error, "planted: {...}": the truth that a diagnosis is held to. A message is described by the kind
// that must be named and by the rank and peer that must be: who is dead, stopped or slow; otherwise who waits, and for
// whom.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "harness/protocol/stuck.h"
#include "reference/trainer/seams.h"
#include "suites/faults/forwarding_communicator.h"

namespace lockstep::faults {

// A stream of numbers that depends on the seed alone.
class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  std::uint64_t Next();
  std::size_t Below(std::size_t n) { return static_cast<std::size_t>(Next() % n); }

 private:
  std::uint64_t state_;
};
std::uint64_t FaultSeed();

// One message of one step.
struct Target {
  std::int64_t from = 0, to = 0;       // ranks of the world
  int from_member = 0, to_member = 0;  // of the link's group: pipeline ranks
  device::Edge edge;                   // with its step
  std::optional<device::Edge> next;    // what the sender computes right after it, for the same rank
  std::vector<int> unlinked;           // members to which the sender sends nothing in this direction
};

// Messages of a request, of every column of its plan, as one step has them.
std::vector<Target> MessagesOf(const protocol::Request& request);
// One that fits, with a step after the first; throws BadInput where none does.
Target Choose(const protocol::Request& request, const std::vector<Target>& fitting);

trainer::GroupKind LinkOf(const Target& target);

// "planted: {...}" on standard error, at once.
void Tell(protocol::StuckKind kind, std::int64_t rank, std::int64_t peer, const Target& at);

// The link on which it happens: strikes in the Send of that one message.
class Striking : public ForwardingCommunicator {
 public:
  Striking(std::unique_ptr<device::Communicator> inner, const Target& target)
      : ForwardingCommunicator(std::move(inner)), target_(target) {}
  device::WorkHandle Send(std::int64_t n, const float* x, int peer, const device::Edge& edge) override {
    return edge == target_.edge ? Strike(n, x, peer) : ForwardingCommunicator::Send(n, x, peer, edge);
  }
  static bool Fits(const Target&) { return true; }

 protected:
  virtual device::WorkHandle Strike(std::int64_t n, const float* x, int peer) = 0;
  const Target& target() const { return target_; }

 private:
  Target target_;
};

// The trainer with Link, a Striking, on the link that is drawn.
template <typename Link>
class AtMessage : public trainer::Seams {
 public:
  void EditRequest(protocol::Request& request, const protocol::Coordinates& at) override {
    std::vector<Target> fitting = MessagesOf(request);
    std::erase_if(fitting, [](const Target& target) { return !Link::Fits(target); });
    target_ = Choose(request, fitting);
    rank_ = request.plan.RankOf(at);
  }
  std::unique_ptr<device::Communicator> WrapCommunicator(trainer::GroupKind kind,
                                                         std::unique_ptr<device::Communicator> group,
                                                         const protocol::Plan&, const protocol::Coordinates&) override {
    if (kind != LinkOf(target_) || rank_ != target_.from) return group;
    return std::make_unique<Link>(std::move(group), target_);
  }

 private:
  Target target_;
  std::int64_t rank_ = 0;
};

}  // namespace lockstep::faults
