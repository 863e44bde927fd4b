#include "harness/cli/numbers.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

namespace lockstep::cli {
namespace {

template <typename Number>
std::optional<Number> Parse(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

CLI::Validator Number(const std::string& expected, bool (*fits)(double, double), double bound, double most) {
  return CLI::Validator(
      [=](std::string& text) {
        const std::optional<double> value = Parse<double>(text);
        const bool good = value && std::isfinite(*value) && fits(*value, bound) && *value <= most;
        return good ? std::string() : "is '" + text + "'; expected " + expected;
      },
      "");
}

}  // namespace

CLI::Validator WholeNumber(std::int64_t least, std::int64_t most) {
  return CLI::Validator(
      [=](std::string& text) {
        const std::optional<std::int64_t> value = Parse<std::int64_t>(text);
        const std::string expected = fmt::format("a whole number from {} to {}", least, most);
        const bool plain = value && std::to_string(*value) == text;  // the parser takes 010 for an octal number
        return plain && *value >= least && *value <= most ? std::string() : "is '" + text + "'; expected " + expected;
      },
      "");
}

CLI::Validator NumberAbove(double bound, double most) {
  return Number(
      fmt::format("a number above {:g}, at most {:g}", bound, most), [](double value, double b) { return value > b; },
      bound, most);
}

CLI::Validator NumberFrom(double least, double most) {
  return Number(
      fmt::format("a number from {:g} to {:g}", least, most), [](double value, double b) { return value >= b; }, least,
      most);
}

}  // namespace lockstep::cli
