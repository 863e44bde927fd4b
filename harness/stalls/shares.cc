#include "harness/stalls/shares.h"

#include <algorithm>

namespace lockstep::stalls {
namespace {

// Takes `*amount`, where it is negative, from the others in order.
void Settle(double* amount, double* first, double* second) {
  for (double* from : {first, second}) {
    if (*amount >= 0) return;
    const double taken = std::min(std::max(*from, 0.0), -*amount);
    *amount += taken;
    *from -= taken;
  }
}

double Positive(double value) { return std::max(0.0, value); }

}  // namespace

std::vector<WaitShares> Share(const std::vector<WaitLengths>& waits) {
  WaitShares total;
  double straggler_asked = 0, imbalance_asked = 0;
  for (const WaitLengths& wait : waits) {
    total.bubble += wait.uniform;
    total.imbalance += wait.median - wait.uniform;
    total.straggler += wait.actual - wait.median;
    straggler_asked += Positive(wait.actual - wait.median);
    imbalance_asked += Positive(wait.median - wait.uniform);
  }
  Settle(&total.straggler, &total.imbalance, &total.bubble);
  Settle(&total.imbalance, &total.bubble, &total.straggler);
  total.straggler = Positive(total.straggler);
  total.imbalance = Positive(total.imbalance);

  std::vector<WaitShares> shares;
  double imbalance_left = total.imbalance, room = 0;
  for (const WaitLengths& wait : waits) {
    WaitShares share;
    if (straggler_asked > 0) {
      share.straggler = Positive(wait.actual - wait.median) * std::min(1.0, total.straggler / straggler_asked);
    }
    const double free = Positive(wait.actual - share.straggler);
    if (imbalance_asked > 0) {
      const double asked = Positive(wait.median - wait.uniform) * std::min(1.0, total.imbalance / imbalance_asked);
      share.imbalance = std::min(free, asked);
    }
    imbalance_left -= share.imbalance;
    share.bubble = free - share.imbalance;
    room += share.bubble;
    shares.push_back(share);
  }
  // What found no room in its own waits.
  const double moved = room > 0 ? std::clamp(imbalance_left / room, 0.0, 1.0) : 0;
  for (WaitShares& share : shares) {
    share.imbalance += share.bubble * moved;
    share.bubble -= share.bubble * moved;
  }
  return shares;
}

}  // namespace lockstep::stalls
