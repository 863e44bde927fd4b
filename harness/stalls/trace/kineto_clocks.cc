#include "harness/stalls/trace/kineto_clocks.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>

namespace lockstep::stalls {
namespace {

std::int64_t Quantile(std::vector<std::int64_t> values, std::size_t tenths) {
  const std::size_t place = (values.size() - 1) * tenths / 10;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(place), values.end());
  return values[place];
}

}  // namespace

TraceClock EstimateTraceClock(const std::vector<CommonCollective>& collectives, bool one_host) {
  TraceClock clock;
  if (collectives.empty()) {
    clock.known = one_host;
    return clock;
  }
  std::int64_t least = std::numeric_limits<std::int64_t>::min(), most = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> differences;
  for (const CommonCollective& each : collectives) {
    least = std::max(least, each.reference.began - each.other.ended);
    most = std::min(most, each.reference.ended - each.other.began);
    differences.push_back(each.reference.ended - each.other.ended);
  }
  if (one_host && least <= 0 && 0 <= most) return clock;
  const std::int64_t median = Quantile(differences, 5);
  clock.offset = least <= most ? std::clamp(median, least, most) : median;
  for (std::int64_t& difference : differences) difference = std::abs(difference - clock.offset);
  clock.uncertainty = Quantile(differences, 9);
  if (least > most) clock.uncertainty = std::max(clock.uncertainty, (least - most + 1) / 2);
  return clock;
}

std::vector<TraceClock> AlignTraces(const std::vector<TracedRank>& ranks,
                                    const std::vector<std::vector<TraceMember>>& members) {
  std::map<std::pair<std::size_t, std::size_t>, std::vector<CommonCollective>> pairs;
  for (const auto& collective : members) {
    for (const TraceMember& a : collective) {
      for (const TraceMember& b : collective) {
        if (a.rank == b.rank) continue;
        pairs[{a.rank, b.rank}].push_back(
            {ranks[a.rank].collectives[a.index].time, ranks[b.rank].collectives[b.index].time});
      }
    }
  }
  std::vector<TraceClock> clocks(ranks.size());
  std::vector<bool> aligned(ranks.size(), false);
  if (!ranks.empty()) aligned[0] = true;
  const auto align = [&](std::size_t reference, std::size_t other, const std::vector<CommonCollective>& common) {
    const bool one_host = !ranks[other].host.empty() && ranks[other].host == ranks[reference].host;
    clocks[other] = EstimateTraceClock(common, one_host);
    clocks[other].offset += clocks[reference].offset;
    clocks[other].uncertainty += clocks[reference].uncertainty;
    aligned[other] = true;
  };
  for (bool found = true; found;) {  // from rank 0 outwards, along groups
    found = false;
    for (const auto& [pair, common] : pairs) {
      if (!aligned[pair.first] || aligned[pair.second]) continue;
      align(pair.first, pair.second, common);
      found = true;
    }
  }
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    if (!aligned[rank]) align(0, rank, {});
  }
  return clocks;
}

}  // namespace lockstep::stalls
