#include <fmt/format.h>

#include <algorithm>

#include "harness/stalls/attribution.h"

namespace lockstep::stalls {
namespace {

constexpr std::int64_t kWarmUpSteps = 2, kFewSteps = 5;

}  // namespace

std::string ToString(const Operation& operation) {
  if (operation.name == "transfer") return fmt::format("link from rank {} to rank {}", operation.peer, operation.rank);
  if (operation.name == "sending") return fmt::format("rank {}: sending to rank {}", operation.rank, operation.peer);
  if (operation.name.find(" of ") != std::string::npos) {
    return fmt::format("{}, group of rank {}", operation.name, operation.rank);
  }
  const std::string stage = operation.stage < 0 ? "" : fmt::format(" of stage {}", operation.stage);
  return fmt::format("rank {}: {}{}", operation.rank, operation.name, stage);
}

std::int64_t FirstCountedStep(const Run& run) {
  const bool enough = run.last_step - run.first_step + 1 >= kFewSteps;
  return enough ? std::max(run.first_step, kWarmUpSteps + 1) : run.first_step;
}

std::vector<RankStep> SumOverSteps(const Attribution& attribution, std::int64_t first) {
  std::vector<RankStep> sums(attribution.slices.size());
  for (std::size_t rank = 0; rank < sums.size(); ++rank) sums[rank].rank = static_cast<std::int64_t>(rank);
  for (const RankStep& each : attribution.steps) {
    if (each.step < first) continue;
    RankStep& sum = sums[static_cast<std::size_t>(each.rank)];
    ++sum.step;
    sum.wall += each.wall;
    for (std::size_t i = 0; i < kCategories; ++i) sum.seconds[i] += each.seconds[i];
  }
  return sums;
}

}  // namespace lockstep::stalls
