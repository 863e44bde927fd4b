#include "harness/schedule/orders.h"

#include <algorithm>
#include <array>
#include <deque>

namespace lockstep::schedule {

using protocol::Action;
using protocol::ActionKind;

std::vector<Action> ZeroBubbleLine(std::int64_t stage, std::int64_t micro_batches, std::int64_t ahead,
                                   std::int64_t deferred) {
  std::vector<Action> line;
  std::int64_t forward = 0, weight = 0;
  const auto run_forward = [&] {
    if (forward < micro_batches) line.push_back({stage, ActionKind::kForward, forward++});
  };
  const auto run_weight = [&] { line.push_back({stage, ActionKind::kWeightGradient, weight++}); };
  for (std::int64_t i = 0; i < ahead; ++i) run_forward();
  for (std::int64_t input = 0; input < micro_batches; ++input) {
    run_forward();
    line.push_back({stage, ActionKind::kInputGradient, input});
    if (input >= deferred) run_weight();
  }
  while (weight < micro_batches) run_weight();
  return line;
}

namespace {

// Appends to one rank's line; directions are 0 (near) and 1 (far).
class Bidirectional {
 public:
  Bidirectional(const Direction& near, const Direction& far) : directions_{near, far} {}

  void Forward(int way) { line_.push_back(NextForward(way)); }

  // Whole, or the input gradient alone: its weight gradient is then due.
  void Backward(int way, bool whole) {
    const Direction& direction = directions_[static_cast<std::size_t>(way)];
    const std::int64_t micro_batch = direction.first_micro_batch + backwards_[static_cast<std::size_t>(way)]++;
    line_.push_back({direction.stage, whole ? ActionKind::kBackward : ActionKind::kInputGradient, micro_batch});
    if (!whole) due_.push_back({direction.stage, ActionKind::kWeightGradient, micro_batch});
  }

  void Weight() {
    if (due_.empty()) return;
    line_.push_back(due_.front());
    due_.pop_front();
  }

  void Fused(int forward_way, int backward_way) {
    Action forward = NextForward(forward_way);
    forward.with_next = true;
    line_.push_back(forward);
    Backward(backward_way, true);
  }

  std::vector<Action> Line() && { return std::move(line_); }

 private:
  Action NextForward(int way) {
    const Direction& direction = directions_[static_cast<std::size_t>(way)];
    return {direction.stage, ActionKind::kForward,
            direction.first_micro_batch + forwards_[static_cast<std::size_t>(way)]++};
  }

  std::array<Direction, 2> directions_;
  std::array<std::int64_t, 2> forwards_{}, backwards_{};
  std::deque<Action> due_;
  std::vector<Action> line_;
};

}  // namespace

std::vector<Action> BidirectionalLine(std::int64_t depth, std::int64_t distance, std::int64_t count,
                                      const Direction& near, const Direction& far) {
  Bidirectional rank(near, far);
  const std::int64_t to_the_turn = depth - 1 - distance;
  const auto times = [](std::int64_t number, const auto& body) {
    for (std::int64_t i = 0; i < number; ++i) body(i);
  };
  times(2 * to_the_turn, [&](auto) { rank.Forward(0); });
  times(distance + 1, [&](auto) {
    rank.Forward(0);
    rank.Forward(1);
  });
  times(to_the_turn, [&](auto) {
    rank.Backward(1, false);
    rank.Weight();
    rank.Forward(1);
  });
  times(count - 2 * depth + distance + 1, [&](std::int64_t i) {
    if (i == 0 && to_the_turn == 0) {  // one after the other: the rank at the turn has nothing to wait for
      rank.Forward(0);
      rank.Backward(1, true);
    } else {
      rank.Fused(0, 1);
    }
    rank.Fused(1, 0);
  });
  times(to_the_turn, [&](auto) {
    rank.Backward(1, true);
    rank.Fused(1, 0);
  });
  bool whole = true;  // the second half of what is left computes weight gradients later
  times(distance + 1, [&](std::int64_t i) {
    const bool middle = i == (distance + 1) / 2;
    if (middle && distance % 2 == 1) whole = false;
    rank.Backward(1, whole);
    if (middle && distance % 2 == 0) whole = false;
    rank.Backward(0, whole);
  });
  times(to_the_turn, [&](auto) {
    rank.Weight();
    rank.Backward(0, false);
  });
  times(distance + 1, [&](auto) { rank.Weight(); });
  return std::move(rank).Line();
}

std::optional<ClosedForm> BidirectionalForm(std::int64_t depth, const std::vector<std::int64_t>& distances,
                                            const Durations& d) {
  const bool holds =
      d.forward == d.input_gradient && d.weight_gradient <= d.input_gradient && d.fused == d.forward + d.Backward();
  if (!holds) return std::nullopt;
  const std::int64_t each = d.fused + d.Backward() - 3 * d.weight_gradient;
  ClosedForm form{"", "", {}, {}, {}};
  for (const std::int64_t distance : distances) {
    form.makespan_idle.push_back((depth - 1) * each);
    form.span_idle.push_back((depth - 1) * each - distance * (2 * d.input_gradient - d.weight_gradient));
    form.peak_activations.push_back(2 * depth + 1);
  }
  return form;
}

}  // namespace lockstep::schedule
