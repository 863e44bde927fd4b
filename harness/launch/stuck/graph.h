// Who waits for whom, by the cursors alone.
#pragma once

#include <functional>
#include <vector>

#include "harness/launch/stuck/scene.h"

namespace lockstep::launch::stuck {

bool Waits(const RankView& rank);        // for a message or in a collective
bool WaitsOnLink(const RankView& rank);  // receives or sends
bool Works(const RankView& rank);        // waits for nobody
bool InCollective(const RankView& rank);

// What a rank waited for before it gave up on it: its cursor still has it.
void TakeBack(protocol::Cursor* cursor);

// Members of the rank's group that aren't at the collective in which it waits; ascending.
std::vector<std::int64_t> Absent(const Scene& scene, std::int64_t rank);

// Ranks for which a rank waits; none where it doesn't wait or doesn't say for whom.
std::vector<std::int64_t> WaitsFor(const Scene& scene, std::int64_t rank);

// Ranks each of which waits for the next and the last for the first, among those for which `allowed` holds; empty where
// there are none. The shortest from the lowest rank on one.
std::vector<std::int64_t> Cycle(const Scene& scene, const std::function<bool(const RankView&)>& allowed);

}  // namespace lockstep::launch::stuck
