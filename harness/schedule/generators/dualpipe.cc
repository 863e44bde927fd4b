// DualPipe (DeepSeek-V3 2024): the pipeline is fed from both ends. Rank r holds stages r and p - 1 - r, so every stage
// stands on two ranks with its parameters on each; the first half of the micro-batches goes down through stage s on
// rank s, the second half comes up through stage s on rank p - 1 - s. Forwards of one direction run fused with
// backwards of the other. Needs an even p, an even m and m >= 2p. Idle time (p/2-1)(F&B + B - 3W) and a peak of p + 1
// on every rank are what its README says; simulation agrees where F = I >= W and F&B = F + B. Where fusing saves time,
// ranks have different numbers of fused pairs and so idle unlike.
#include "harness/schedule/orders.h"

namespace lockstep::schedule {
namespace {

std::int64_t Distance(const Shape& shape, std::int64_t rank) { return std::min(rank, shape.ranks - 1 - rank); }

Lines Make(const Shape& shape) {
  Lines lines;
  const std::int64_t half = shape.micro_batches / 2;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    const Direction down{rank, 0}, up{shape.ranks - 1 - rank, half};
    const bool upper = rank < shape.ranks / 2;
    lines.push_back(
        BidirectionalLine(shape.ranks / 2, Distance(shape, rank), half, upper ? down : up, upper ? up : down));
  }
  return lines;
}

Placement Place(const Shape& shape) {
  Placement placement;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) placement.push_back({rank, shape.ranks - 1 - rank});
  return placement;
}

std::string WhyNotThis(const Shape& shape) {
  if (shape.ranks % 2 != 0) return "needs an even number of ranks, not " + std::to_string(shape.ranks);
  if (shape.micro_batches % 2 != 0 || shape.micro_batches < 2 * shape.ranks) {
    return "needs an even number of micro-batches, at least " + std::to_string(2 * shape.ranks) + " on " +
           std::to_string(shape.ranks) + " ranks, not " + std::to_string(shape.micro_batches);
  }
  return "";
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& durations) {
  std::vector<std::int64_t> distances;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) distances.push_back(Distance(shape, rank));
  std::optional<ClosedForm> form = BidirectionalForm(shape.ranks / 2, distances, durations);
  if (form) {
    form->idle_text = "(p/2-1)(F&B + B - 3W)";
    form->peak_text = "p+1";
  }
  return form;
}

}  // namespace

extern const Generator generator_dualpipe;
const Generator generator_dualpipe{
    .name = "dualpipe",
    .sentence =
        "Fed from both ends, forwards fused with backwards of the other direction; parameters on two ranks each.",
    .make = Make,
    .place = Place,
    .why_not = WhyNotThis,
    .closed_form = Form};

}  // namespace lockstep::schedule
