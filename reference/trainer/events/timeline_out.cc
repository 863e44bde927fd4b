#include "reference/trainer/events/timeline_out.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "harness/protocol/cursor.h"

namespace lockstep::trainer {
namespace {

using protocol::ActionKind;

constexpr std::array<const char*, 8> kSpanNames{"data",      "send", "receive",   "loss",
                                                "reduction", "norm", "optimizer", "evidence"};

// When the results of one step were there, by what they are.
class Results {
 public:
  explicit Results(Nanoseconds step_began) : step_began_(step_began) {}

  void See(const Event& event) {
    if (event.kind == EventKind::kMessage && !event.send) {
      ended_[{event.target_stage, event.micro_batch, event.backward ? Kind::kGradientIn : Kind::kInput}] = event.ended;
    }
    if (event.kind != EventKind::kOp) return;
    switch (static_cast<ActionKind>(event.what)) {
      case ActionKind::kForward:
        ended_[{event.stage, event.micro_batch, Kind::kForward}] = event.ended;
        break;
      case ActionKind::kWeightGradient:
        break;
      default:
        ended_[{event.stage, event.micro_batch, Kind::kGradient}] = event.ended;
    }
  }

  // When all that an operation needs was there: a message, or what stages of this rank computed.
  Nanoseconds ReadyFor(const Event& op) const {
    const auto at = [&](std::int32_t stage, Kind kind) {
      const auto found = ended_.find({stage, op.micro_batch, kind});
      return found == ended_.end() ? step_began_ : found->second;
    };
    switch (static_cast<ActionKind>(op.what)) {
      case ActionKind::kForward:
        return std::max(at(op.stage, Kind::kInput), at(op.stage - 1, Kind::kForward));
      case ActionKind::kWeightGradient:
        return at(op.stage, Kind::kGradient);
      default:
        return std::max(
            {at(op.stage, Kind::kForward), at(op.stage, Kind::kGradientIn), at(op.stage + 1, Kind::kGradient)});
    }
  }

 private:
  enum class Kind { kInput, kForward, kGradientIn, kGradient };
  Nanoseconds step_began_;
  std::map<std::tuple<std::int32_t, std::int32_t, Kind>, Nanoseconds> ended_;
};

class Writer {
 public:
  Writer(const CommonClock& clock, const std::map<std::uint8_t, TimelineGroup>& groups, protocol::Timeline& timeline)
      : clock_(clock), groups_(groups), timeline_(timeline) {}

  void Write(const Event& event, const Results& results) {
    switch (event.kind) {
      case EventKind::kStep:
        timeline_.steps.push_back({event.step, {At(event.began), At(event.ended)}});
        break;
      case EventKind::kOp:
        WriteOp(event, results);
        break;
      case EventKind::kMessage:
        timeline_.messages.push_back({event.step, event.send, event.backward, event.number, event.stage,
                                      event.target_stage, event.micro_batch, event.bytes, At(event.began),
                                      At(event.ended), Wait(event)});
        break;
      case EventKind::kCollective:
        timeline_.collectives.push_back({event.step, groups_.at(event.group).name, event.number,
                                         protocol::kCursorOperations[event.what], event.bytes, At(event.began),
                                         At(event.ended), Wait(event)});
        break;
      case EventKind::kSpan:
        timeline_.spans.push_back({event.step, kSpanNames[event.what], {At(event.began), At(event.ended)}});
        break;
    }
  }

 private:
  double At(Nanoseconds local) const { return clock_.Seconds(local); }

  std::optional<protocol::Interval> Wait(const Event& event) const {
    if (event.wait_ended == 0) return std::nullopt;
    return protocol::Interval{At(event.wait_began), At(event.wait_ended)};
  }

  void WriteOp(const Event& event, const Results& results) {
    protocol::TimelineOp op;
    op.step = event.step;
    op.position = event.number;
    op.action = {event.stage, static_cast<ActionKind>(event.what), event.micro_batch};
    op.enqueued = At(event.began);
    op.ready = At(results.ReadyFor(event));
    op.started = At(event.started);
    op.ended = At(event.ended);
    op.memory = event.bytes;
    op.activations = event.activations;
    timeline_.ops.push_back(op);
  }

  const CommonClock& clock_;
  const std::map<std::uint8_t, TimelineGroup>& groups_;
  protocol::Timeline& timeline_;
};

}  // namespace

protocol::Timeline MakeTimeline(std::int64_t rank, const std::vector<Event>& events, const CommonClock& clock,
                                const std::map<std::uint8_t, TimelineGroup>& groups) {
  protocol::Timeline timeline;
  timeline.clock = {rank, clock.offset_seconds(), clock.uncertainty_seconds(), clock.unix_seconds(), 1, 0, {}};
  for (const auto& [kind, group] : groups) timeline.clock.groups[group.name] = group.members;
  if (events.empty()) return timeline;
  timeline.clock.first_step = events.front().step;
  timeline.clock.last_step = events.back().step;
  Writer writer(clock, groups, timeline);
  for (auto begin = events.begin(); begin != events.end();) {
    const auto end = std::find_if(begin, events.end(), [&](const Event& event) { return event.step != begin->step; });
    Results results(begin->began);
    std::for_each(begin, end, [&](const Event& event) { results.See(event); });
    std::for_each(begin, end, [&](const Event& event) { writer.Write(event, results); });
    begin = end;
  }
  return timeline;
}

}  // namespace lockstep::trainer
