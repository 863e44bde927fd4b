// ZB-V (Qi et al. 2024): two chunks a rank in the shape of a V, stages r and 2p - 1 - r on rank r, so that a
// micro-batch's backward begins where its forward did and the memory of 1F1B is enough. With F = I = W and m >= 2p - 1
// no rank is idle within its span; skew (p-1)F of one chunk. Peak 2p chunks, which is p micro-batches, on every rank.
// The order is laid out for at least 2p - 1 micro-batches; fewer are that order with the missing ones left out.
#include <algorithm>

#include "harness/schedule/generate.h"

namespace lockstep::schedule {
namespace {

using protocol::ActionKind;

// Appends to one rank's line and counts; way 0 is the chunk on the way down (stage r), way 1 on the way back.
class Line {
 public:
  Line(std::int64_t down, std::int64_t back, std::int64_t micro_batches)
      : ways_{{down}, {back}}, micro_batches_(micro_batches) {}

  void Forward(int way) { Add(way, ActionKind::kForward, &ways_[way].forwards); }
  void Input(int way) { Add(way, ActionKind::kInputGradient, &ways_[way].inputs); }
  void Weight(int way) { Add(way, ActionKind::kWeightGradient, &ways_[way].weights); }
  void Whole(int way) {
    Input(way);
    Weight(way);
  }
  std::int64_t Forwards(int way) const { return ways_[way].forwards; }
  std::int64_t Due(int way) const { return ways_[way].inputs - ways_[way].weights; }
  std::vector<protocol::Action> Take() { return std::move(actions_); }

 private:
  struct Way {
    std::int64_t stage = 0, forwards = 0, inputs = 0, weights = 0;
  };
  void Add(int way, ActionKind kind, std::int64_t* count) {
    if (*count < micro_batches_) actions_.push_back({ways_[way].stage, kind, *count});
    ++*count;
  }

  Way ways_[2];
  std::int64_t micro_batches_;
  std::vector<protocol::Action> actions_;
};

std::vector<protocol::Action> LineOf(std::int64_t rank, const Shape& shape) {
  const std::int64_t p = shape.ranks, laid_out = std::max(2 * p - 1, shape.micro_batches);
  Line line(rank, 2 * p - 1 - rank, shape.micro_batches);
  for (std::int64_t i = 0; i < 2 * (p - rank) - 1; ++i) line.Forward(0);
  for (std::int64_t i = 0; i < rank; ++i) {
    line.Forward(1);
    line.Forward(0);
  }
  for (std::int64_t i = 0; i < p - rank; ++i) {
    line.Forward(1);
    line.Whole(1);
  }
  while (line.Forwards(1) < laid_out) {
    if (line.Forwards(0) < laid_out) line.Forward(0);
    line.Whole(0);
    line.Forward(1);
    line.Whole(1);
  }
  for (std::int64_t i = 0; i < rank; ++i) {
    line.Input(0);
    line.Input(1);
  }
  for (std::int64_t i = 0; i < p - rank; ++i) line.Whole(0);
  while (line.Due(1) > 0) line.Weight(1);
  while (line.Due(0) > 0) line.Weight(0);
  return line.Take();
}

Lines Make(const Shape& shape) {
  Lines lines;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) lines.push_back(LineOf(rank, shape));
  return lines;
}

Placement Place(const Shape& shape) {
  Placement placement;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) placement.push_back({rank, 2 * shape.ranks - 1 - rank});
  return placement;
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& d) {
  const bool even = d.forward == d.input_gradient && d.forward == d.weight_gradient;
  if (!even || shape.micro_batches < 2 * shape.ranks - 1) return {};
  const auto ranks = static_cast<std::size_t>(shape.ranks);
  return ClosedForm{"(p-1)F, all of it skew", "2p chunks",
                    std::vector<std::int64_t>(ranks, (shape.ranks - 1) * d.forward),
                    std::vector<std::int64_t>(ranks, 0), std::vector<std::int64_t>(ranks, 2 * shape.ranks)};
}

}  // namespace

extern const Generator generator_zb_v;
const Generator generator_zb_v{
    .name = "zb_v",
    .sentence = "Two chunks a rank in a V: no idle time within a rank's span where F = I = W, with the memory of 1F1B.",
    .max_chunks = 2,
    .make = Make,
    .min_chunks = 2,
    .place = Place,
    .closed_form = Form};

}  // namespace lockstep::schedule
