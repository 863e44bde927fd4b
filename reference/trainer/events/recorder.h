// The events of one rank in a ring: on unless its capacity is 0, so cheap that a step does not feel it, read once at
// the end.
//
// An event is a fixed record, written where it begins and completed where it ends: through its number, which finds
// nothing any more once the ring has come round. Times are nanoseconds of the host's steady clock; those of operations
// on a device are marks in its compute stream until the step has ended. Used by the rank's main thread alone. It knows
// no file and no other rank.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "harness/protocol/schedule.h"
#include "reference/device/communicator.h"
#include "reference/device/device.h"

namespace lockstep::trainer {

using Nanoseconds = std::int64_t;  // of the host's steady clock
Nanoseconds Now();

enum class EventKind : std::uint8_t { kStep, kOp, kMessage, kCollective, kSpan };
enum class SpanName : std::uint8_t { kData, kSend, kReceive, kLoss, kReduction, kNorm, kOptimizer, kEvidence };
enum class CollectiveKind : std::uint8_t {  // in the order of protocol::kCursorOperations
  kAllReduce,
  kAllGather,
  kReduceScatter,
  kBroadcast,
  kBarrier,
  kHostSum,
  kHostMax,
  kHostGather
};

struct Event {  // no default values: the ring's memory is not touched before it is used
  EventKind kind;
  std::uint8_t what;   // of an op its protocol::ActionKind; CollectiveKind; SpanName
  std::uint8_t group;  // of a collective, GroupKind
  bool send, backward;
  bool marks;  // `started` (of a span `began`) and `ended` are marks of the device, until the step has ended
  std::int32_t step;
  std::int64_t number;  // of an op its position in the line; of a collective; of a message its peer
  std::int32_t stage, target_stage, micro_batch;
  std::int64_t bytes, activations;     // of an op: in use at its end
  Nanoseconds began;                   // enqueued, posted
  Nanoseconds started;                 // of an op
  Nanoseconds ended;                   // 0: not known
  Nanoseconds wait_began, wait_ended;  // 0: never waited
};

class Recorder {
 public:
  using Id = std::int64_t;
  static constexpr Id kNone = -1;

  explicit Recorder(std::size_t capacity);  // 0: records nothing
  bool on() const { return capacity_ > 0; }

  // Events outside of a step are not kept.
  void BeginStep(std::int64_t step, Nanoseconds now);
  // `device` has been synchronised: marks become times, and communication its end.
  void EndStep(device::Device& device, Nanoseconds now);

  // A new event with everything but its kind, its beginning and the step at nothing; kNone outside of steps.
  Id Add(EventKind kind, Nanoseconds began);
  Event* Find(Id id);  // null for kNone, and where the ring has come round
  // Takes the end of this communication from its work when the step ends.
  void Ends(Id id, device::WorkHandle work);

  // Events of the steps that are held whole, oldest first.
  std::vector<Event> WholeSteps() const;

 private:
  bool Holds(Id id) const { return id >= 0 && next_ - id <= static_cast<Id>(capacity_); }
  const Event& At(Id id) const { return ring_[static_cast<std::size_t>(id) % capacity_]; }
  void Resolve(device::Device& device, Event& event);

  std::size_t capacity_;
  std::unique_ptr<Event[]> ring_;
  Id next_ = 0, step_began_ = kNone;
  std::int64_t step_ = 0;
  bool within_ = false;
  std::vector<std::pair<Id, device::WorkHandle>> communication_;  // of this step
};

}  // namespace lockstep::trainer
