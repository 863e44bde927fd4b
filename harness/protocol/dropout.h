// Dropout masks from a counter: a function of (seed, step, global sample, site, position, feature) and of nothing
// else, so that no layout can change a mask. PROTOCOL.md, "Dropout", gives it by formula and by test values.
#pragma once

#include <cstdint>

namespace lockstep::protocol {

// splitmix64's finaliser.
constexpr std::uint64_t Mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}
constexpr std::uint64_t Absorb(std::uint64_t state, std::uint64_t word) {
  return Mix64(state + 0x9E3779B97F4A7C15ull * (word + 1));
}

// Sites: 0 after the sum of embeddings; 1 + 2 l after the attention's projection of block l; 2 + 2 l after its mlp's.
constexpr std::uint64_t DropoutSiteEmbedding() { return 0; }
constexpr std::uint64_t DropoutSiteAttention(std::uint64_t block) { return 1 + 2 * block; }
constexpr std::uint64_t DropoutSiteMlp(std::uint64_t block) { return 2 + 2 * block; }

// Key of one row (one position of one sample at one site) in one step (1, 2, ...).
constexpr std::uint64_t DropoutRowKey(std::uint64_t seed, std::uint64_t step, std::uint64_t sample, std::uint64_t site,
                                      std::uint64_t position) {
  return Absorb(Absorb(Absorb(Absorb(Mix64(seed), step), sample), site), position);
}

// Uniform in [0, 1) with 24 bits; the element is kept when DropoutUniform(...) >= probability, then divided by
// (1 - probability). The comparison is made in fp32 in every precision.
constexpr float DropoutUniform(std::uint64_t row_key, std::uint64_t feature) {
  return static_cast<float>(Absorb(row_key, feature) >> 40) * 0x1p-24f;
}

}  // namespace lockstep::protocol
