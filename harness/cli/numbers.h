// What a number on the command line may be, with a refusal that says so in plain figures.
//
// The parser's own checks print the whole range of a double, let "inf" pass and take NaN for a number.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace lockstep::cli {

inline constexpr std::int64_t kMostSteps = 50'000'000;  // of a run
inline constexpr std::int64_t kMostBatch = 16'777'216;  // samples of a step
inline constexpr double kMostSeconds = 1e7;             // four months

CLI::Validator WholeNumber(std::int64_t least, std::int64_t most);
CLI::Validator NumberAbove(double bound, double most);  // finite, above `bound`
CLI::Validator NumberFrom(double least, double most);   // finite, `least` or more

}  // namespace lockstep::cli
