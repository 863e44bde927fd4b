// What tests of attribution look up in its result.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "harness/stalls/attribution.h"

namespace lockstep::stalls {

inline constexpr double kExact = 1e-9;  // seconds: rounding of sums of doubles

inline double Of(const Attribution& attribution, std::int64_t rank, std::int64_t step, Category category) {
  for (const RankStep& each : attribution.steps) {
    if (each.rank == rank && each.step == step) return each.seconds[static_cast<std::size_t>(category)];
  }
  return std::nan("");
}

// The cause of that name; one that cost nothing where there is none.
inline Cause CauseOf(const Attribution& attribution, std::int64_t rank, const std::string& name, std::int64_t step) {
  for (const Cause& cause : attribution.causes) {
    const Operation& operation = cause.operation;
    if (operation.rank == rank && operation.name == name && operation.step == step) return cause;
  }
  return {};
}

inline void ExpectSumsToWall(const Attribution& attribution) {
  for (const RankStep& each : attribution.steps) {
    double sum = 0;
    for (const double seconds : each.seconds) {
      EXPECT_GE(seconds, 0);
      sum += seconds;
    }
    EXPECT_NEAR(sum, each.wall, 1e-9 * std::max(1.0, each.wall)) << "rank " << each.rank << ", step " << each.step;
  }
}

}  // namespace lockstep::stalls
