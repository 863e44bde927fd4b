// What this rank does now, and since when: told once by whoever does it, kept as the cursor, as events, and as the time
// spent waiting.
//
// A wait is counted as idle, shown by the cursor, and written into the event of what was waited for.
#pragma once

#include <cstdint>
#include <string>

#include "reference/trainer/events/cursor_file.h"
#include "reference/trainer/events/delays.h"
#include "reference/trainer/events/recorder.h"

namespace lockstep::trainer {

class Activity {
 public:
  Activity(bool record, Delays delays);

  Recorder& recorder() { return recorder_; }
  const Delays& delays() const { return delays_; }
  CursorFile& cursor() { return cursor_; }
  double idle_seconds() const { return static_cast<double>(idle_) * 1e-9; }

  Nanoseconds BeginStep(std::int64_t step);
  Nanoseconds EndStep(device::Device& device);
  void Enter(protocol::CursorState state, Nanoseconds now = Now());

  // One action of the line: the rank has come to it, computes, and has computed.
  Recorder::Id BeginOp(std::int64_t position, const protocol::Action& action);
  void StartOp(Recorder::Id op, device::Device& device);
  void EndOp(Recorder::Id op, const protocol::Action& action, device::Device& device);
  void PassOp();  // the action is done with, its result handed over

  // Whom or what a wait is for.
  struct Waiting {
    protocol::CursorState state = protocol::CursorState::kCollective;
    std::int64_t peer = -1;  // rank of the world
    device::Edge edge = {};
    const char* group = "";
    std::int64_t number = -1;
    std::uint32_t operation = 0;  // as Cursor::operation
  };
  class Wait;  // from construction to destruction
  class Span;

 private:
  Recorder recorder_;
  CursorFile cursor_;
  Delays delays_;
  Nanoseconds idle_ = 0;
};

class Activity::Wait {
 public:
  Wait(Activity& activity, const Waiting& waiting, Recorder::Id event);
  ~Wait();  // while an exception passes, the cursor stays at what was waited for
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

 private:
  Activity& activity_;
  Recorder::Id event_;
  protocol::Cursor before_;
  Nanoseconds began_;
  int exceptions_;
};

class Activity::Span {
 public:
  // With a device, the time that its compute stream takes; without, the host's.
  Span(Activity& activity, SpanName name, device::Device* device = nullptr);
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

 private:
  Activity& activity_;
  device::Device* device_;
  Recorder::Id event_;
  protocol::CursorState before_;
};

}  // namespace lockstep::trainer
