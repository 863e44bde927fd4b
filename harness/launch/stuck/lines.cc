#include "harness/launch/stuck/lines.h"

#include <algorithm>

namespace lockstep::launch::stuck {
namespace {

using protocol::Action;
using protocol::ActionKind;

// A cursor counts these and shows no others.
bool IsCounted(const Action& action) {
  return action.kind == ActionKind::kForward || action.kind == ActionKind::kBackward ||
         action.kind == ActionKind::kInputGradient || action.kind == ActionKind::kWeightGradient;
}

// The F of a stage, or what gives the gradient of its input.
bool Is(const Action& action, std::int64_t stage, std::int64_t micro_batch, bool backward) {
  const bool kind = backward ? action.kind == ActionKind::kBackward || action.kind == ActionKind::kInputGradient
                             : action.kind == ActionKind::kForward;
  return kind && action.stage == stage && action.micro_batch == micro_batch;
}

char LetterOf(ActionKind kind) {
  switch (kind) {
    case ActionKind::kForward:
      return 'F';
    case ActionKind::kBackward:
      return 'B';
    case ActionKind::kInputGradient:
      return 'I';
    case ActionKind::kWeightGradient:
      return 'W';
    default:
      return '?';
  }
}

}  // namespace

Message MessageOf(const protocol::Cursor& cursor) {
  return {cursor.source_stage, cursor.target_stage, cursor.message_micro_batch, cursor.backward == 1};
}

std::string ToString(const Message& message) {
  return "micro-batch " + std::to_string(message.micro_batch) + (message.backward ? " backward" : " forward") +
         ", stage " + std::to_string(message.source) + " to " + std::to_string(message.target);
}

std::optional<Place> Lines::Find(std::int64_t rank, std::int64_t stage, std::int64_t micro_batch, bool backward) const {
  protocol::Coordinates at = scene_.plan.At(rank);
  for (at.pipeline = 0; at.pipeline < scene_.plan.pipeline; ++at.pipeline) {
    const std::int64_t each = scene_.plan.RankOf(at);
    const std::vector<Action>& line = Of(each).line;
    const auto found = std::find_if(line.begin(), line.end(),
                                    [&](const Action& action) { return Is(action, stage, micro_batch, backward); });
    if (found != line.end()) return Place{each, found - line.begin()};
  }
  return std::nullopt;
}

std::optional<Place> Lines::Producer(std::int64_t rank, const Message& message) const {
  return Find(rank, message.source, message.micro_batch, message.backward);
}

std::optional<Place> Lines::Consumer(std::int64_t rank, const Message& message) const {
  return Find(rank, message.target, message.micro_batch, message.backward);
}

bool Lines::Agrees(std::int64_t rank) const {
  const protocol::Cursor& cursor = Of(rank).cursor;
  if (cursor.position < 0) return true;
  if (cursor.position >= static_cast<std::int64_t>(Of(rank).line.size())) return false;
  const Action& action = At({rank, cursor.position});
  return action.stage == cursor.stage && action.micro_batch == cursor.micro_batch &&
         (cursor.kind == 0 || LetterOf(action.kind) == static_cast<char>(cursor.kind));
}

const Action& Lines::At(const Place& place) const {
  return Of(place.rank).line[static_cast<std::size_t>(place.position)];
}

std::optional<bool> Lines::Passed(const Place& place, std::int64_t step) const {
  const protocol::Cursor& cursor = Of(place.rank).cursor;
  if (cursor.state == protocol::CursorState::kDone || cursor.step > step) return true;
  if (cursor.step < step) return false;
  if (!Agrees(place.rank)) return std::nullopt;
  if (cursor.position >= 0) return cursor.position > place.position;
  // Between two actions only their number tells.
  const std::vector<Action>& line = Of(place.rank).line;
  const auto here = line.begin() + place.position;
  const std::int64_t whole = std::count_if(line.begin(), line.end(), IsCounted);
  const std::int64_t done = cursor.done - (cursor.step - scene_.first_step) * whole;
  if (done < 0 || done > whole) return std::nullopt;
  return done > std::count_if(line.begin(), here, IsCounted);
}

bool Lines::Linked(std::int64_t from, std::int64_t to, bool backward) const {
  const std::vector<Action>& line = Of(from).line;
  return std::any_of(line.begin(), line.end(), [&](const Action& action) {
    if (!Is(action, action.stage, action.micro_batch, backward)) return false;
    const std::int64_t target = action.stage + (backward ? -1 : 1);
    const auto consumer = Find(from, target, action.micro_batch, backward);
    return consumer && consumer->rank == to;
  });
}

}  // namespace lockstep::launch::stuck
