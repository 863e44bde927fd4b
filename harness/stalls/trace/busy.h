// When something was going on, of intervals that may lie over each other: asked when nothing was.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "harness/stalls/trace/kineto_rank.h"

namespace lockstep::stalls {

class Busy {
 public:
  explicit Busy(std::vector<TraceTime> times) {
    std::sort(times.begin(), times.end(), [](const TraceTime& a, const TraceTime& b) { return a.began < b.began; });
    for (const TraceTime& time : times) {
      if (merged_.empty() || time.began > merged_.back().ended) {
        merged_.push_back(time);
      } else {
        merged_.back().ended = std::max(merged_.back().ended, time.ended);
      }
    }
  }

  // Where nothing was going on between `from` and `until` for longest, up to when something was again; nothing where
  // it was shorter than what came between its end and `until`. Never empty.
  std::optional<TraceTime> LongestIdle(std::int64_t from, std::int64_t until) const {
    std::optional<TraceTime> longest;
    auto next =
        std::partition_point(merged_.begin(), merged_.end(), [&](const TraceTime& time) { return time.ended <= from; });
    for (std::int64_t idle_since = from; idle_since < until; ++next) {
      const std::int64_t idle_until = next == merged_.end() ? until : std::min(next->began, until);
      const TraceTime idle{idle_since, idle_until};
      const bool counts = idle.length() > 0 && until - idle_until <= idle.length();
      if (counts && (!longest || idle.length() > longest->length())) longest = idle;
      if (next == merged_.end()) break;
      idle_since = next->ended;
    }
    return longest;
  }

 private:
  std::vector<TraceTime> merged_;
};

}  // namespace lockstep::stalls
