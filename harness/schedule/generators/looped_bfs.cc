// Looped breadth-first (Lamy-Poirier 2022): a rank holds v chunks, stage s on rank s mod p, and takes all micro-batches
// through one chunk before the next; backwards from the last chunk to the first. Every rank holds the activations of
// all m micro-batches at its peak; its idle time is 1/v of GPipe's where m >= p. Backwards run in the order of the
// forwards, so that gradients are accumulated in the order of a single run (torch's ScheduleLoopedBFS takes them in
// reverse).
#include <algorithm>

#include "harness/schedule/generate.h"

namespace lockstep::schedule {
namespace {

constexpr std::int64_t kMostChunks = 64;

Lines Make(const Shape& shape) {
  Lines lines(static_cast<std::size_t>(shape.ranks));
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    std::vector<protocol::Action>& line = lines[static_cast<std::size_t>(rank)];
    for (std::int64_t chunk = 0; chunk < shape.chunks; ++chunk) {
      for (std::int64_t i = 0; i < shape.micro_batches; ++i) {
        line.push_back({chunk * shape.ranks + rank, protocol::ActionKind::kForward, i});
      }
    }
    for (std::int64_t chunk = shape.chunks - 1; chunk >= 0; --chunk) {
      for (std::int64_t i = 0; i < shape.micro_batches; ++i) {
        line.push_back({chunk * shape.ranks + rank, protocol::ActionKind::kBackward, i});
      }
    }
  }
  return lines;
}

std::optional<ClosedForm> Form(const Shape& shape, const Durations& d) {
  const std::int64_t missing = std::max<std::int64_t>(0, shape.ranks - shape.micro_batches);
  ClosedForm form{missing == 0 ? "(p-1)(F+B)" : "(p-1 + (v-1)(p-m))(F+B)", "mv", {}, {}, {}};
  const std::int64_t idle = (shape.ranks - 1 + (shape.chunks - 1) * missing) * (d.forward + d.Backward());
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    form.makespan_idle.push_back(idle);
    form.span_idle.push_back(idle - rank * (d.forward + d.Backward()));
    form.peak_activations.push_back(shape.chunks * shape.micro_batches);
  }
  return form;
}

}  // namespace

extern const Generator generator_looped_bfs;
const Generator generator_looped_bfs{
    .name = "looped_bfs",
    .sentence = "All micro-batches through one chunk of a rank, then through the next; 1/v of GPipe's idle time.",
    .max_chunks = kMostChunks,
    .make = Make,
    .min_chunks = 2,
    .closed_form = Form};

}  // namespace lockstep::schedule
