#include "suites/faults/support/planted.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/dropout.h"
#include "reference/trainer/wiring.h"

namespace lockstep::faults {
namespace {

using trainer::Link;
using trainer::LinkMessage;

constexpr std::int64_t kFirstStep = 2;  // the first has come to its end: a median is known

device::Edge EdgeOf(const Link& link, const LinkMessage& message, std::int64_t step) {
  return {.source_stage = static_cast<std::int32_t>(message.source),
          .target_stage = static_cast<std::int32_t>(message.target),
          .micro_batch = static_cast<std::int32_t>(message.micro_batch),
          .direction = link.backward ? 1 : 0,
          .step = static_cast<std::int32_t>(step)};
}

// Whether one computation follows the other in the sender's line without another in between.
bool Adjacent(const std::vector<protocol::Action>& line, const LinkMessage& first, const LinkMessage& second) {
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    const bool here = line[i].stage == first.source && line[i].micro_batch == first.micro_batch;
    const bool there = line[i + 1].stage == second.source && line[i + 1].micro_batch == second.micro_batch;
    if (here && there && line[i].kind == line[i + 1].kind) return true;
  }
  return false;
}

}  // namespace

std::uint64_t Draw::Next() { return protocol::Mix64(state_ += 0x9E3779B97F4A7C15ULL); }

std::uint64_t FaultSeed() {
  const char* const said = std::getenv("LOCKSTEP_FAULT_SEED");
  if (said == nullptr) return 0;
  const std::string_view text(said);
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), seed);
  if (error != std::errc() || end != text.end()) {
    throw protocol::BadInput("LOCKSTEP_FAULT_SEED", "is '" + std::string(text) + "'", "expected a whole number");
  }
  return seed;
}

std::vector<Target> MessagesOf(const protocol::Request& request) {
  const trainer::Wiring wiring(request.schedule);
  const protocol::Plan& plan = request.plan;
  std::vector<Target> all;
  for (const Link& link : wiring.links()) {
    std::vector<int> unlinked;
    for (std::int64_t member = 0; member < plan.pipeline; ++member) {
      const bool linked = std::any_of(wiring.links().begin(), wiring.links().end(), [&](const Link& each) {
        return each.from == link.from && each.to == member && each.backward == link.backward;
      });
      if (!linked && member != link.from) unlinked.push_back(static_cast<int>(member));
    }
    for (std::int64_t column = 0; column < plan.data * plan.tensor; ++column) {
      const auto rank = [&](std::int64_t pipeline) { return pipeline * plan.data * plan.tensor + column; };
      for (std::size_t i = 0; i < link.messages.size(); ++i) {
        Target target{rank(link.from), rank(link.to), static_cast<int>(link.from), static_cast<int>(link.to), {}, {},
                      unlinked};
        target.edge = EdgeOf(link, link.messages[i], 0);
        const auto& line = request.schedule.ranks[static_cast<std::size_t>(link.from)];
        const bool follows = i + 1 < link.messages.size() && Adjacent(line, link.messages[i], link.messages[i + 1]);
        if (follows) target.next = EdgeOf(link, link.messages[i + 1], 0);
        all.push_back(target);
      }
    }
  }
  return all;
}

Target Choose(const protocol::Request& request, const std::vector<Target>& fitting) {
  if (fitting.empty() || request.workload.steps < kFirstStep) {
    throw protocol::BadInput("--fault", "finds no message to strike at in " + request.id,
                             "a pipeline, and steps enough");
  }
  Draw draw(FaultSeed());
  Target target = fitting[draw.Below(fitting.size())];
  const auto steps = static_cast<std::size_t>(request.workload.steps - kFirstStep + 1);
  target.edge.step = static_cast<std::int32_t>(kFirstStep + static_cast<std::int64_t>(draw.Below(steps)));
  if (target.next) target.next->step = target.edge.step;
  return target;
}

trainer::GroupKind LinkOf(const Target& target) {
  return target.edge.direction == 0 ? trainer::GroupKind::kForwardLink : trainer::GroupKind::kBackwardLink;
}

void Tell(protocol::StuckKind kind, std::int64_t rank, std::int64_t peer, const Target& at) {
  const nlohmann::json truth{{"kind", protocol::NameOf(kind)},
                             {"rank", rank},
                             {"peer", peer},
                             {"step", at.edge.step},
                             {"micro_batch", at.edge.micro_batch},
                             {"source_stage", at.edge.source_stage},
                             {"target_stage", at.edge.target_stage}};
  const std::string line = "planted: " + truth.dump() + "\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace lockstep::faults
