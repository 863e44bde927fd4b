// DualPipeV (DeepSeek 2025; torch's ScheduleDualPipeV): DualPipe folded in the middle. Two chunks a rank in the shape
// of a V, stages r and 2p - 1 - r on rank r, in the order of a DualPipe of 2p ranks; no parameter stands twice. Needs m
// >= 2p.
#include "harness/schedule/orders.h"

namespace lockstep::schedule {
namespace {

Lines Make(const Shape& shape) {
  Lines lines;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    lines.push_back(
        BidirectionalLine(shape.ranks, rank, shape.micro_batches, {rank, 0}, {2 * shape.ranks - 1 - rank, 0}));
  }
  return lines;
}

Placement Place(const Shape& shape) {
  Placement placement;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) placement.push_back({rank, 2 * shape.ranks - 1 - rank});
  return placement;
}

std::string WhyNotThis(const Shape& shape) {
  if (shape.micro_batches >= 2 * shape.ranks) return "";
  return "needs at least as many micro-batches as stages, " + std::to_string(2 * shape.ranks) + ", not " +
         std::to_string(shape.micro_batches);
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& durations) {
  std::vector<std::int64_t> distances;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) distances.push_back(rank);
  std::optional<ClosedForm> form = BidirectionalForm(shape.ranks, distances, durations);
  if (form) {
    form->idle_text = "(p-1)(F&B + B - 3W)";
    form->peak_text = "2p+1 chunks";
  }
  return form;
}

}  // namespace

extern const Generator generator_dualpipe_v;
const Generator generator_dualpipe_v{
    .name = "dualpipe_v",
    .sentence = "DualPipe folded into a V of two chunks a rank: its order, with parameters on one rank each.",
    .max_chunks = 2,
    .make = Make,
    .min_chunks = 2,
    .place = Place,
    .why_not = WhyNotThis,
    .closed_form = Form};

}  // namespace lockstep::schedule
