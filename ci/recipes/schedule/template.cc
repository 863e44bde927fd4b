// Template of a schedule: all forwards, then all backwards.
#include "harness/schedule/generate.h"

namespace lockstep::schedule {
namespace {

Lines Make(const Shape& shape) {
  Lines lines(static_cast<std::size_t>(shape.ranks));
  for (std::int64_t rank = 0; rank < shape.ranks; ++rank) {
    auto& line = lines[static_cast<std::size_t>(rank)];
    for (std::int64_t m = 0; m < shape.micro_batches; ++m) line.push_back({rank, protocol::ActionKind::kForward, m});
    for (std::int64_t m = 0; m < shape.micro_batches; ++m) line.push_back({rank, protocol::ActionKind::kBackward, m});
  }
  return lines;
}

}  // namespace

extern const Generator generator_template;
const Generator generator_template{"template", "All forwards, then all backwards.", 1, Make};

}  // namespace lockstep::schedule
