#include "reference/trainer/events/recorder.h"

#include <algorithm>
#include <chrono>

namespace lockstep::trainer {

Nanoseconds Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Recorder::Recorder(std::size_t capacity)
    : capacity_(capacity), ring_(capacity > 0 ? std::make_unique_for_overwrite<Event[]>(capacity) : nullptr) {}

Recorder::Id Recorder::Add(EventKind kind, Nanoseconds began) {
  if (!within_ || capacity_ == 0) return kNone;
  const Id id = next_++;
  Event& event = ring_[static_cast<std::size_t>(id) % capacity_];
  event = {};
  event.kind = kind;
  event.step = static_cast<std::int32_t>(step_);
  event.began = began;
  return id;
}

Event* Recorder::Find(Id id) { return Holds(id) ? &ring_[static_cast<std::size_t>(id) % capacity_] : nullptr; }

void Recorder::BeginStep(std::int64_t step, Nanoseconds now) {
  step_ = step;
  within_ = true;
  communication_.clear();
  step_began_ = Add(EventKind::kStep, now);
}

void Recorder::Ends(Id id, device::WorkHandle work) {
  if (id != kNone) communication_.emplace_back(id, std::move(work));
}

void Recorder::Resolve(device::Device& device, Event& event) {
  if (!event.marks) return;
  Nanoseconds& began = event.kind == EventKind::kOp ? event.started : event.began;
  began = device.TimeOf(began);
  event.ended = device.TimeOf(event.ended);
  event.marks = false;
}

void Recorder::EndStep(device::Device& device, Nanoseconds now) {
  within_ = false;
  if (capacity_ == 0) return;
  for (const auto& [id, work] : communication_) {
    Event* event = Find(id);
    if (event == nullptr) continue;
    event->ended = work->EndedAt();
    if (event->ended == 0) event->ended = event->wait_ended != 0 ? event->wait_ended : now;
    event->ended = std::max(event->ended, event->began);
  }
  communication_.clear();
  for (Id id = std::max(step_began_, next_ - static_cast<Id>(capacity_)); id < next_; ++id) Resolve(device, *Find(id));
  if (Event* step = Find(step_began_)) step->ended = now;
}

std::vector<Event> Recorder::WholeSteps() const {
  std::vector<Event> events;
  Id id = std::max<Id>(0, next_ - static_cast<Id>(capacity_));
  while (id < next_ && At(id).kind != EventKind::kStep) ++id;
  for (; id < next_; ++id) {
    if (At(id).kind == EventKind::kStep && At(id).ended == 0) break;  // the rank gave up within it
    events.push_back(At(id));
  }
  return events;
}

}  // namespace lockstep::trainer
