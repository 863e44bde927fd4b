#include "harness/stalls/shares.h"

#include <algorithm>

namespace lockstep::stalls {
namespace {

constexpr int kRounds = 8;  // of fitting rows and columns to their sums; where nothing is negative one is exact
constexpr auto kBubbleAt = static_cast<std::size_t>(Category::kBubble);

double Positive(double value) { return std::max(0.0, value); }

// What each reason has over the step: gains taken from the bubble, and what is left of them from all others alike.
Seconds Totals(const std::vector<WaitReasons>& waits) {
  Seconds totals{};
  for (const WaitReasons& wait : waits) {
    for (std::size_t c = 0; c < kCategories; ++c) totals[c] += wait.reasons[c];
  }
  double gained = 0, others = 0;
  for (std::size_t c = 0; c < kCategories; ++c) {
    gained += Positive(-totals[c]);
    totals[c] = Positive(totals[c]);
    if (c != kBubbleAt) others += totals[c];
  }
  const double from_bubble = std::min(gained, totals[kBubbleAt]);
  totals[kBubbleAt] -= from_bubble;
  const double left = others > 0 ? Positive(1 - (gained - from_bubble) / others) : 0;
  for (std::size_t c = 0; c < kCategories; ++c) {
    if (c != kBubbleAt) totals[c] *= left;
  }
  return totals;
}

void FitColumns(const Seconds& totals, std::vector<Seconds>* shares) {
  for (std::size_t c = 0; c < kCategories; ++c) {
    double sum = 0;
    for (const Seconds& share : *shares) sum += share[c];
    if (!(sum > 0)) continue;
    for (Seconds& share : *shares) share[c] *= totals[c] / sum;
  }
}

void FitRows(const std::vector<WaitReasons>& waits, std::vector<Seconds>* shares) {
  for (std::size_t i = 0; i < waits.size(); ++i) {
    Seconds& share = (*shares)[i];
    double sum = 0;
    for (const double seconds : share) sum += seconds;
    if (sum > 0) {
      for (double& seconds : share) seconds *= waits[i].waited / sum;
    } else {
      share[kBubbleAt] = waits[i].waited;
    }
  }
}

// What fitting left over goes wherever there is room for it: then rows and columns are exact.
void FillUp(const Seconds& totals, const std::vector<WaitReasons>& waits, std::vector<Seconds>* shares) {
  Seconds missing = totals;
  for (std::size_t c = 0; c < kCategories; ++c) {
    double sum = 0;
    for (const Seconds& share : *shares) sum += share[c];
    const double scale = sum > totals[c] ? totals[c] / sum : 1;
    for (Seconds& share : *shares) share[c] *= scale;
    missing[c] = Positive(totals[c] - sum * scale);
  }
  for (std::size_t i = 0; i < waits.size(); ++i) {
    Seconds& share = (*shares)[i];
    double room = waits[i].waited;
    for (const double seconds : share) room -= seconds;
    for (std::size_t c = 0; c < kCategories; ++c) {
      const double moved = std::clamp(room, 0.0, missing[c]);
      share[c] += moved;
      missing[c] -= moved;
      room -= moved;
    }
  }
  FitRows(waits, shares);  // rounding
}

}  // namespace

std::vector<Seconds> Share(const std::vector<WaitReasons>& waits) {
  const Seconds totals = Totals(waits);
  std::vector<Seconds> shares;
  for (const WaitReasons& wait : waits) {
    Seconds& share = shares.emplace_back();
    for (std::size_t c = 0; c < kCategories; ++c) share[c] = Positive(wait.reasons[c]);
  }
  for (int round = 0; round < kRounds; ++round) {
    FitColumns(totals, &shares);
    FitRows(waits, &shares);
  }
  FillUp(totals, waits, &shares);
  return shares;
}

}  // namespace lockstep::stalls
