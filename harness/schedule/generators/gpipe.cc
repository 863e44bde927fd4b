// GPipe: all forwards, then all backwards. Every rank holds the activations of all m micro-batches at its peak.
// Backwards run in the order of the forwards, so that gradients are accumulated in the order of a single run.
#include "harness/schedule/generate.h"

namespace lockstep::schedule {
namespace {

Lines Make(const Shape& shape) {
  Lines lines(static_cast<std::size_t>(shape.ranks));
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    for (const protocol::ActionKind kind : {protocol::ActionKind::kForward, protocol::ActionKind::kBackward}) {
      for (std::int64_t i = 0; i < shape.micro_batches; ++i) {
        lines[static_cast<std::size_t>(rank)].push_back({rank, kind, i});
      }
    }
  }
  return lines;
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& d) {
  ClosedForm form{"(p-1)(F+B)", "m", {}, {}, {}};
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    form.makespan_idle.push_back((shape.ranks - 1) * (d.forward + d.Backward()));
    form.span_idle.push_back((shape.ranks - 1 - rank) * (d.forward + d.Backward()));
    form.peak_activations.push_back(shape.micro_batches);
  }
  return form;
}

}  // namespace

extern const Generator generator_gpipe;
const Generator generator_gpipe{.name = "gpipe",
                                .sentence = "All forwards, then all backwards; m micro-batches live on every rank.",
                                .make = Make,
                                .closed_form = Form};

}  // namespace lockstep::schedule
