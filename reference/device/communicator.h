// What a backend communicates: collectives and point to point within one group of ranks.
//
// An operation starts after all compute work enqueued before the call has ended, and runs beside later compute work;
// compute work enqueued after Work::Wait() sees its result. Collectives of one communicator run in the order of calls,
// and so do its messages from one rank to another; all others are independent of each other: a receive that waits holds
// up nothing but later ones from the same rank. The buffers must stay until Wait(). Reductions add in a fixed
// order that depends on count and group alone, the same on every rank: all members get the same bytes.
// A dead or silent peer ends the call: CommunicationError, naming operation, peer and elapsed time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace lockstep::device {

class CommunicationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Work {
 public:
  virtual ~Work() = default;
  virtual void Wait() = 0;               // idempotent; throws CommunicationError
  virtual bool Done() { return false; }  // true: Wait() returns at once; false where not known
  // When it ended, in nanoseconds of the host's steady clock, asked after Wait() and Device::Synchronize(); 0 where not
  // known. It may be long before Wait() was called.
  virtual std::int64_t EndedAt() { return 0; }
  // Returns when this rank's own work before the operation has ended: what Wait() takes after it, others cost.
  virtual void AwaitOwnWork() {}
};
using WorkHandle = std::shared_ptr<Work>;

enum class Reduction { kSum, kMax };

// Carried by every point-to-point message, so that crossed wires are seen as data and not as a time-out.
struct Edge {
  std::int32_t source_stage = 0, target_stage = 0, micro_batch = 0, direction = 0;  // direction: 0 forward, 1 backward
  std::int32_t step = 0;
  bool operator==(const Edge&) const = default;
};

// A message that lies at this rank though it never asked its sender for one in that direction.
struct Stray {
  int rank = 0;  // of the world
  std::int32_t direction = 0;
  bool operator==(const Stray&) const = default;
};
using StrayObserver = std::function<void(const std::optional<Stray>&)>;

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int Rank() const = 0;  // within the group
  virtual int Size() const = 0;

  // x[i] = reduction over ranks of x[i], in place; n fp32 elements. Size() 1: nothing happens.
  virtual WorkHandle AllReduce(std::int64_t n, float* x, Reduction reduction) = 0;
  // Rank r's part is counts[r] elements at the sum of the counts before it.
  // all-gather: `part` (counts[Rank()]) of every rank -> whole; part may lie at its place in whole
  virtual WorkHandle AllGather(std::span<const std::int64_t> counts, const float* part, float* whole) = 0;
  // reduce-scatter: sum over ranks of whole -> part (counts[Rank()]); part may lie at its place in whole
  virtual WorkHandle ReduceScatter(std::span<const std::int64_t> counts, const float* whole, float* part) = 0;
  virtual WorkHandle Broadcast(std::int64_t n, float* x, int root) = 0;
  // Point to point; the receiver checks that the message is the one that it expects: CommunicationError otherwise, in
  // the words of message.h. Sends never block the caller; pairs match in order. The peer is
  // another rank.
  virtual WorkHandle Send(std::int64_t n, const float* x, int peer, const Edge& edge) = 0;
  virtual WorkHandle Receive(std::int64_t n, float* x, int peer, const Edge& edge) = 0;

  // Host values, complete on return: sums in rank order in fp64, maxima, and gathers of strings (rank order).
  virtual void SumOnHost(std::span<double> values) = 0;
  virtual void MaxOnHost(std::span<double> values) = 0;
  virtual std::vector<std::string> GatherOnHost(const std::string& mine) = 0;
  virtual void Barrier() = 0;

  // Of the world: the observer is told, on another thread, what lies here astray whenever that changes, while nothing
  // moves; and no more when this has returned with none. Where the library can't look, it is told nothing.
  virtual void WatchForStrays(StrayObserver) {}  // NOLINT(performance-unnecessary-value-param): a sink

  // The members with the same color form a group, ordered by key. Collective over this group.
  virtual std::unique_ptr<Communicator> Split(int color, int key) = 0;
};

}  // namespace lockstep::device
