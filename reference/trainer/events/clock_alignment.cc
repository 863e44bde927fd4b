#include "reference/trainer/events/clock_alignment.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>
#include <sstream>

namespace lockstep::trainer {
namespace {

constexpr int kGathers = 32;

std::vector<GatherTimes> TimesFrom(const std::string& text) {
  std::vector<GatherTimes> times;
  std::istringstream stream(text);
  for (GatherTimes each; stream >> each.entered >> each.left;) times.push_back(each);
  return times;
}

}  // namespace

ClockEstimate EstimateClock(std::size_t rank, const std::vector<std::string>& clocks,
                            const std::vector<std::vector<GatherTimes>>& times) {
  ClockEstimate estimate{.at = times[rank].empty() ? 0 : times[rank].back().left, .offset = 0, .uncertainty = 0};
  if (clocks[rank] == clocks[0]) return estimate;
  // ahead: this rank's clock less rank 0's.
  double most = std::numeric_limits<double>::infinity(), least = -most;
  for (std::size_t here = 0; here < clocks.size(); ++here) {
    for (std::size_t there = 0; there < clocks.size(); ++there) {
      if (clocks[here] != clocks[rank] || clocks[there] != clocks[0]) continue;
      for (std::size_t i = 0; i < times[here].size(); ++i) {
        most = std::min(most, static_cast<double>(times[here][i].left - times[there][i].entered));
        least = std::max(least, static_cast<double>(times[here][i].entered - times[there][i].left));
      }
    }
  }
  estimate.offset = -(least + most) / 2;
  estimate.uncertainty = (most - least) / 2;
  return estimate;
}

void CommonClock::Align(device::Communicator& world, const std::function<Nanoseconds()>& now,
                        const std::string& clock) {
  const std::vector<std::string> clocks = world.GatherOnHost(clock);
  std::ostringstream mine;
  if (std::any_of(clocks.begin(), clocks.end(), [&](const std::string& each) { return each != clocks[0]; })) {
    for (int i = 0; i < kGathers; ++i) {
      const Nanoseconds entered = now();
      world.GatherOnHost("");
      mine << entered << ' ' << now() << ' ';
    }
  }
  std::vector<std::vector<GatherTimes>> times;
  for (const std::string& theirs : world.GatherOnHost(mine.str())) times.push_back(TimesFrom(theirs));
  const auto rank = static_cast<std::size_t>(world.Rank());
  estimates_.push_back(EstimateClock(rank, clocks, times));
  if (estimates_.back().at == 0) estimates_.back().at = now();
  if (estimates_.size() > 1) return;
  const double unix_now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::ostringstream zero;
  zero.precision(17);
  zero << now() << ' ' << unix_now;
  std::istringstream first(world.GatherOnHost(zero.str())[0]);
  first >> zero_ >> unix_seconds_;
}

double CommonClock::Seconds(Nanoseconds local) const {
  const ClockEstimate &first = estimates_.front(), &last = estimates_.back();
  double offset = first.offset;
  if (last.at > first.at) {
    offset +=
        (last.offset - first.offset) * static_cast<double>(local - first.at) / static_cast<double>(last.at - first.at);
  }
  return (static_cast<double>(local - zero_) + offset) / 1e9;
}

double CommonClock::offset_seconds() const { return estimates_.front().offset * 1e-9; }

double CommonClock::uncertainty_seconds() const {
  double largest = 0;
  for (const ClockEstimate& estimate : estimates_) largest = std::max(largest, estimate.uncertainty);
  return largest * 1e-9;
}

std::string HostClockName() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  return boot;
}

}  // namespace lockstep::trainer
