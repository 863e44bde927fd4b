// ZB-H2 (Qi et al. 2023): twice as many forwards ahead as 1F1B, and the weight gradients of rank r's first 2r
// micro-batches put off. With F = I = W and m >= 2p - 1 no rank is idle between its first operation and its last; the
// last ones end one F after another, which a synchronous optimizer turns into (p-1)F of idle time again. Peak 2p - 1 on
// every rank.
#include "harness/schedule/orders.h"

namespace lockstep::schedule {
namespace {

Lines Make(const Shape& shape) {
  Lines lines;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    lines.push_back(ZeroBubbleLine(rank, shape.micro_batches, 2 * (shape.ranks - 1 - rank), 2 * rank));
  }
  return lines;
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& d) {
  const bool even = d.forward == d.input_gradient && d.forward == d.weight_gradient;
  if (!even || shape.micro_batches < 2 * shape.ranks - 1) return {};
  const auto ranks = static_cast<std::size_t>(shape.ranks);
  return ClosedForm{"(p-1)F, all of it skew", "2p-1", std::vector<std::int64_t>(ranks, (shape.ranks - 1) * d.forward),
                    std::vector<std::int64_t>(ranks, 0), std::vector<std::int64_t>(ranks, 2 * shape.ranks - 1)};
}

}  // namespace

extern const Generator generator_zb_h2;
const Generator generator_zb_h2{
    .name = "zb_h2",
    .sentence = "No idle time within a rank's span where F = I = W; 2p - 1 micro-batches live on every rank.",
    .make = Make,
    .closed_form = Form};

}  // namespace lockstep::schedule
