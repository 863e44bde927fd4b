// One clock for the ranks' traces, from the collectives that they have in common.
//
// Ranks of one host read one clock, and are believed where no collective contradicts it. Between hosts, a collective
// ends on all of its members soon after the last has arrived: the median of the differences of those ends is the
// estimate, held to what can't be otherwise (nobody ends before the last arrival), and how far the differences scatter
// around it is its uncertainty.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/stalls/trace/kineto_rank.h"

namespace lockstep::stalls {

struct TraceClock {
  std::int64_t offset = 0;       // nanoseconds; added to the rank's times they are on rank 0's clock
  std::int64_t uncertainty = 0;  // nanoseconds, either way
  bool known = true;             // false: nothing ties this rank to rank 0, and its clock is believed
};

// Of one collective, what two ranks say.
struct CommonCollective {
  TraceTime reference, other;
};

// Of `other` against `reference`; `one_host`: they read one clock.
TraceClock EstimateTraceClock(const std::vector<CommonCollective>& collectives, bool one_host);

// By rank. `members[c]`: (rank, index in its collectives) of the members of collective c.
struct TraceMember {
  std::size_t rank = 0, index = 0;
};
std::vector<TraceClock> AlignTraces(const std::vector<TracedRank>& ranks,
                                    const std::vector<std::vector<TraceMember>>& members);

}  // namespace lockstep::stalls
