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

}  // namespace

extern const Generator generator_gpipe;
const Generator generator_gpipe{
    "gpipe", "All forwards, then all backwards; m micro-batches of activations on every rank.", 1, Make};

}  // namespace lockstep::schedule
