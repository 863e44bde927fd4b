// One clock for all ranks: rank 0's, with what each rank's own differs from it and how surely.
//
// Nobody leaves a gather before everybody has entered it. So each gather bounds the difference of two clocks from both
// sides, as a message there and one back do, and many of them bound it tightly: the middle is the estimate, half the
// width its uncertainty. Ranks of one host read one clock and share its bounds; where all do, nothing is measured.
// A clock that runs faster than another is corrected along the line between two estimates, one early and one late.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "reference/device/communicator.h"
#include "reference/trainer/events/recorder.h"

namespace lockstep::trainer {

struct ClockEstimate {
  Nanoseconds at = 0;      // of this rank's clock
  double offset = 0;       // nanoseconds; added to this rank's clock it gives rank 0's
  double uncertainty = 0;  // nanoseconds, either way
};

// What a rank has seen of one gather, on its own clock.
struct GatherTimes {
  Nanoseconds entered = 0, left = 0;
};

// Of `rank` against rank 0. `clocks[r]`: which clock rank r reads; `times[r]`: the same gathers, in order.
ClockEstimate EstimateClock(std::size_t rank, const std::vector<std::string>& clocks,
                            const std::vector<std::vector<GatherTimes>>& times);

// A rank's clock in terms of the common one, whose 0 is rank 0's first estimate.
class CommonClock {
 public:
  // Collective over the world. `now` and `clock` (its name: the same where the clock is) are the rank's.
  void Align(device::Communicator& world, const std::function<Nanoseconds()>& now, const std::string& clock);

  double Seconds(Nanoseconds local) const;
  double offset_seconds() const;       // at the first estimate
  double uncertainty_seconds() const;  // the larger
  double unix_seconds() const { return unix_seconds_; }

 private:
  std::vector<ClockEstimate> estimates_;
  Nanoseconds zero_ = 0;  // of rank 0's clock
  double unix_seconds_ = 0;
};

// The host's steady clock by name: the boot that it counts from.
std::string HostClockName();

}  // namespace lockstep::trainer
