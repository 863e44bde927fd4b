// Interleaved 1F1B (Narayanan et al. 2021): a rank holds v chunks, stage s on rank s mod p, and goes through them in
// groups of micro-batches, which divides the idle time by v. A group is p micro-batches; where m is no multiple of p,
// it is m divided by the number of whole groups of p (the rule of torch.distributed.pipelining), which must come out
// even.
#include <algorithm>

#include "harness/schedule/generate.h"

namespace lockstep::schedule {
namespace {

constexpr std::int64_t kMostChunks = 64;

std::int64_t Groups(const Shape& shape) { return std::max<std::int64_t>(1, shape.micro_batches / shape.ranks); }
std::int64_t GroupSize(const Shape& shape) { return shape.micro_batches / Groups(shape); }

// Forwards ahead of the first backward: one group through all chunks but the last, then two for each rank that follows.
std::int64_t Ahead(const Shape& shape, std::int64_t rank) {
  return std::min(shape.chunks * shape.micro_batches,
                  (shape.chunks - 1) * GroupSize(shape) + 2 * (shape.ranks - 1 - rank));
}

Lines Make(const Shape& shape) {
  const std::int64_t group = GroupSize(shape), all = shape.chunks * shape.micro_batches;
  Lines lines(static_cast<std::size_t>(shape.ranks));
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    std::vector<protocol::Action>& line = lines[static_cast<std::size_t>(rank)];
    // The n-th forward or backward of this rank.
    const auto add = [&](protocol::ActionKind kind, std::int64_t n) {
      const std::int64_t step = n / group % shape.chunks;
      const std::int64_t chunk = kind == protocol::ActionKind::kForward ? step : shape.chunks - 1 - step;
      line.push_back({chunk * shape.ranks + rank, kind, n / (group * shape.chunks) * group + n % group});
    };
    const std::int64_t ahead = Ahead(shape, rank);
    for (std::int64_t n = 0; n < all + ahead; ++n) {
      if (n < all) add(protocol::ActionKind::kForward, n);
      if (n >= ahead) add(protocol::ActionKind::kBackward, n - ahead);
    }
  }
  return lines;
}

std::string WhyNotThis(const Shape& shape) {
  if (shape.micro_batches % Groups(shape) == 0) return "";
  return "needs micro-batches in " + std::to_string(Groups(shape)) + " equal groups of at least " +
         std::to_string(shape.ranks) + "; " + std::to_string(shape.micro_batches) + " are not";
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& d) {
  const std::int64_t group = GroupSize(shape), missing = std::max<std::int64_t>(0, shape.ranks - group);
  ClosedForm form{missing == 0 ? "(p-1)(F+B)" : "(p-1 + (v-1)(p-m))(F+B)",
                  group == shape.ranks ? "min(mv, pv+p-1-2r)" : "min(mv, g(v-1)+2(p-r)-1)",
                  {},
                  {},
                  {}};
  const std::int64_t idle = (shape.ranks - 1 + (shape.chunks - 1) * missing) * (d.forward + d.Backward());
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    form.makespan_idle.push_back(idle);
    form.span_idle.push_back(idle - rank * (d.forward + d.Backward()));
    form.peak_activations.push_back(std::min(shape.chunks * shape.micro_batches, Ahead(shape, rank) + 1));
  }
  return form;
}

}  // namespace

extern const Generator generator_interleaved_1f1b;
const Generator generator_interleaved_1f1b{
    .name = "interleaved_1f1b",
    .sentence = "1F1B over v chunks a rank, a group of p micro-batches at a time; 1/v of its idle time.",
    .max_chunks = kMostChunks,
    .make = Make,
    .min_chunks = 2,
    .why_not = WhyNotThis,
    .closed_form = Form};

}  // namespace lockstep::schedule
