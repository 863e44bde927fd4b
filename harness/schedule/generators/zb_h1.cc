// ZB-H1 (Qi et al. 2023): 1F1B with the backward split, rank r deferring the weight gradients of its first r
// micro-batches into what would be idle at the end. Peak p micro-batches on every rank. The paper's idle time
// (p-1)(F+I-W) holds for m >= p and W <= min(F, I): a longer W is not hidden behind one F or I.
#include <algorithm>

#include "harness/schedule/orders.h"

namespace lockstep::schedule {
namespace {

Lines Make(const Shape& shape) {
  Lines lines;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    lines.push_back(ZeroBubbleLine(rank, shape.micro_batches, shape.ranks - 1 - rank, rank));
  }
  return lines;
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& d) {
  if (shape.micro_batches < shape.ranks || d.weight_gradient > std::min(d.forward, d.input_gradient)) return {};
  ClosedForm form{"(p-1)(F+I-W)", "p", {}, {}, {}};
  const std::int64_t each = d.forward + d.input_gradient - d.weight_gradient;
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    form.makespan_idle.push_back((shape.ranks - 1) * each);
    form.span_idle.push_back((shape.ranks - 1 - rank) * each);
    form.peak_activations.push_back(shape.ranks);
  }
  return form;
}

}  // namespace

extern const Generator generator_zb_h1;
const Generator generator_zb_h1{
    .name = "zb_h1",
    .sentence = "1F1B with weight gradients put off into its idle time; p micro-batches live on every rank.",
    .make = Make,
    .closed_form = Form};

}  // namespace lockstep::schedule
