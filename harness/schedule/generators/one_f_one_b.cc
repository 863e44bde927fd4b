// 1F1B: rank r runs p - 1 - r forwards ahead, then one forward and one backward by turns, then drains. At most p - r
// micro-batches of activations are live on rank r; idle time is that of GPipe.
#include <algorithm>

#include "harness/schedule/generate.h"

namespace lockstep::schedule {
namespace {

Lines Make(const Shape& shape) {
  Lines lines(static_cast<std::size_t>(shape.ranks));
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    std::vector<protocol::Action>& line = lines[static_cast<std::size_t>(rank)];
    const std::int64_t ahead = std::min(shape.micro_batches, shape.ranks - 1 - rank);
    std::int64_t forward = 0, backward = 0;
    const auto run_forward = [&] { line.push_back({rank, protocol::ActionKind::kForward, forward++}); };
    const auto run_backward = [&] { line.push_back({rank, protocol::ActionKind::kBackward, backward++}); };
    while (forward < ahead) run_forward();
    while (forward < shape.micro_batches) {
      run_forward();
      run_backward();
    }
    while (backward < shape.micro_batches) run_backward();
  }
  return lines;
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& d) {
  ClosedForm form{"(p-1)(F+B)", "min(m, p-r)", {}, {}, {}};
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    form.makespan_idle.push_back((shape.ranks - 1) * (d.forward + d.Backward()));
    form.span_idle.push_back((shape.ranks - 1 - rank) * (d.forward + d.Backward()));
    form.peak_activations.push_back(std::min(shape.micro_batches, shape.ranks - rank));
  }
  return form;
}

}  // namespace

extern const Generator generator_one_f_one_b;
const Generator generator_one_f_one_b{
    .name = "1f1b",
    .sentence = "One forward, one backward by turns after a warm-up; at most p - r micro-batches live on rank r.",
    .make = Make,
    .closed_form = Form};

}  // namespace lockstep::schedule
