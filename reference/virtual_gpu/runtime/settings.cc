#include "reference/virtual_gpu/runtime/settings.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "reference/virtual_gpu/engine/report.h"

namespace lockstep::virtual_gpu {
namespace {

std::uint64_t Number(const char* name, std::uint64_t least, std::uint64_t most, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return otherwise;
  const std::string_view view = text;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(view.data(), view.data() + view.size(), value);
  if (error != std::errc() || end != view.data() + view.size() || value < least || value > most) {
    Say("%s is \"%s\": it must be a whole number from %llu to %llu", name, text, static_cast<unsigned long long>(least),
        static_cast<unsigned long long>(most));
    std::_Exit(2);
  }
  return value;
}

template <typename Value, std::size_t kCount>
Value Word(const char* name, const std::array<std::pair<const char*, Value>, kCount>& words, const char* list) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return words.front().second;
  for (const auto& [word, value] : words) {
    if (std::string_view(word) == text) return value;
  }
  Say("%s is \"%s\": it must be one of %s", name, text, list);
  std::_Exit(2);
}

}  // namespace

Settings SettingsOfEnvironment() {
  constexpr std::uint64_t kTebibyte = std::uint64_t{1} << 40;
  Settings settings;
  settings.devices = static_cast<int>(Number("LOCKSTEP_VIRTUAL_DEVICES", 0, 256, 16));
  settings.memory_bytes = Number("LOCKSTEP_VIRTUAL_MEMORY_BYTES", 1, kTebibyte, settings.memory_bytes);
  settings.order =
      Word<Order, 3>("LOCKSTEP_VIRTUAL_ORDER",
                     {{{"forward", Order::kForward}, {"reverse", Order::kReverse}, {"random", Order::kRandom}}},
                     "forward, reverse, random");
  settings.streams = Word<StreamMode, 3>(
      "LOCKSTEP_VIRTUAL_STREAMS",
      {{{"eager", StreamMode::kEager}, {"lazy", StreamMode::kLazy}, {"random", StreamMode::kRandom}}},
      "eager, lazy, random");
  settings.seed = Number("LOCKSTEP_VIRTUAL_SEED", 0, UINT64_MAX, settings.seed);
  settings.workers = static_cast<unsigned>(Number("LOCKSTEP_VIRTUAL_WORKERS", 1, 64, 1));
  return settings;
}

}  // namespace lockstep::virtual_gpu
