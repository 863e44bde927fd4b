#include "reference/trainer/events/activity.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

namespace lockstep::trainer {
namespace {

using protocol::Action;
using protocol::ActionKind;
using protocol::Cursor;
using protocol::CursorState;

constexpr std::size_t kEvents = std::size_t{1} << 16;  // 8 MiB, of which a page is touched when it is first written to

std::string_view LetterOf(ActionKind kind) {
  switch (kind) {
    case ActionKind::kForward:
      return "F";
    case ActionKind::kBackward:
      return "B";
    case ActionKind::kInputGradient:
      return "I";
    default:
      return "W";
  }
}

CursorState StateOf(SpanName name) {
  switch (name) {
    case SpanName::kData:
      return CursorState::kData;
    case SpanName::kOptimizer:
      return CursorState::kOptimizer;
    case SpanName::kEvidence:
      return CursorState::kEvidence;
    default:
      return CursorState::kComputing;
  }
}

}  // namespace

Activity::Activity(bool record, Delays delays) : recorder_(record ? kEvents : 0), delays_(std::move(delays)) {}

Nanoseconds Activity::BeginStep(std::int64_t step) {
  const Nanoseconds now = Now();
  recorder_.BeginStep(step, now);
  Cursor cursor = cursor_.now();
  cursor.step = step;
  cursor.state = CursorState::kComputing;
  cursor.since = now;
  cursor_.Set(cursor);
  return now;
}

Nanoseconds Activity::EndStep(device::Device& device) {
  const Nanoseconds now = Now();
  recorder_.EndStep(device, now);
  return now;
}

void Activity::Enter(CursorState state, Nanoseconds now) {
  Cursor cursor = cursor_.now();
  cursor.state = state;
  cursor.since = now;
  cursor_.Set(cursor);
}

Recorder::Id Activity::BeginOp(std::int64_t position, const Action& action) {
  const Nanoseconds now = Now();
  Cursor cursor = cursor_.now();
  cursor.position = position;
  cursor.stage = action.stage;
  cursor.micro_batch = action.micro_batch;
  cursor.kind = static_cast<unsigned char>(LetterOf(action.kind)[0]);
  cursor.state = CursorState::kComputing;
  cursor.since = now;
  cursor_.Set(cursor);
  const Recorder::Id id = recorder_.Add(EventKind::kOp, now);
  if (Event* event = recorder_.Find(id)) {
    event->what = static_cast<std::uint8_t>(action.kind);
    event->number = position;
    event->stage = static_cast<std::int32_t>(action.stage);
    event->micro_batch = static_cast<std::int32_t>(action.micro_batch);
  }
  return id;
}

void Activity::StartOp(Recorder::Id op, device::Device& device) {
  Event* event = recorder_.Find(op);
  if (event == nullptr) return;
  event->started = event->ended = device.MarkTime();
  event->marks = true;
}

void Activity::EndOp(Recorder::Id op, const Action& action, device::Device& device) {
  delays_.Sleep(LetterOf(action.kind), cursor_.now().step, action.micro_batch);
  Event* event = recorder_.Find(op);
  if (event == nullptr) return;
  event->ended = device.MarkTime();
  event->bytes = device.Memory().total_now;
  event->activations = device.Memory().now[static_cast<std::size_t>(device::Category::kActivations)];
}

void Activity::PassOp() {
  Cursor cursor = cursor_.now();
  ++cursor.done;
  cursor.position = cursor.stage = cursor.micro_batch = -1;
  cursor.kind = 0;
  cursor_.Set(cursor);
  delays_.Sleep("host", cursor.step);
}

Activity::Wait::Wait(Activity& activity, const Waiting& waiting, Recorder::Id event)
    : activity_(activity),
      event_(event),
      before_(activity.cursor_.now()),
      began_(Now()),
      exceptions_(std::uncaught_exceptions()) {
  Cursor cursor = before_;
  cursor.state = waiting.state;
  cursor.peer = waiting.peer;
  if (waiting.state != CursorState::kCollective) {
    cursor.source_stage = waiting.edge.source_stage;
    cursor.target_stage = waiting.edge.target_stage;
    cursor.message_micro_batch = waiting.edge.micro_batch;
    cursor.backward = waiting.edge.direction;
  }
  cursor.group = {};
  std::memcpy(cursor.group.data(), waiting.group, std::min(std::strlen(waiting.group), cursor.group.size()));
  cursor.number = waiting.number;
  cursor.operation = waiting.operation;
  cursor.since = began_;
  activity.cursor_.Set(cursor);
}

Activity::Wait::~Wait() {
  const Nanoseconds now = Now();
  activity_.idle_ += now - began_;
  if (Event* event = activity_.recorder_.Find(event_)) {
    event->wait_began = began_;
    event->wait_ended = now;
  }
  if (std::uncaught_exceptions() > exceptions_) return;
  before_.since = now;
  activity_.cursor_.Set(before_);
}

Activity::Span::Span(Activity& activity, SpanName name, device::Device* device)
    : activity_(activity),
      device_(device),
      event_(activity.recorder_.Add(EventKind::kSpan, 0)),
      before_(activity.cursor_.now().state) {
  const Nanoseconds now = Now();
  activity.Enter(StateOf(name), now);
  Event* event = activity.recorder_.Find(event_);
  if (event == nullptr) return;
  event->what = static_cast<std::uint8_t>(name);
  event->marks = device != nullptr;
  event->began = device != nullptr ? device->MarkTime() : now;
}

Activity::Span::~Span() {
  const Nanoseconds now = Now();
  if (Event* event = activity_.recorder_.Find(event_)) event->ended = device_ != nullptr ? device_->MarkTime() : now;
  activity_.Enter(before_, now);
}

}  // namespace lockstep::trainer
