// Random numbers that are the same on every platform: splitmix64, keyed by seed and a name.
//
// Each tensor draws from a generator of its own name, so that adding one changes no other. The standard library's
// distributions are not used, because their results differ between libraries; nothing here goes through libm.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/protocol/dropout.h"

namespace lockstep::inputs {

class Generator {
 public:
  Generator(std::uint64_t seed, std::string_view name) : state_(protocol::Mix64(seed)) {
    for (const char c : name) state_ = protocol::Absorb(state_, static_cast<unsigned char>(c));
  }

  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15ull;
    return protocol::Mix64(state_);
  }
  // Integer in [low, high]. The modulo's bias, below 2^-32 for all ranges used here, is of no consequence.
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(Next() % static_cast<std::uint64_t>(high - low + 1));
  }
  // In [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // Irwin-Hall: the sum of twelve uniforms, less 6; mean 0, deviation 1, within [-6, 6].
  double Normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += Uniform();
    return sum;
  }
  // 0 .. n-1 in random order (Fisher-Yates).
  std::vector<std::int64_t> Permutation(std::int64_t n) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) order[static_cast<std::size_t>(i)] = i;
    for (std::int64_t i = n - 1; i > 0; --i) {
      std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(Between(0, i))]);
    }
    return order;
  }

 private:
  std::uint64_t state_;
};

}  // namespace lockstep::inputs
