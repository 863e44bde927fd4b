// Where a rank stands and what it waits for, in words.
#pragma once

#include <string>
#include <vector>

#include "harness/launch/stuck/scene.h"
#include "harness/protocol/cursor.h"

namespace lockstep::launch::stuck {

// "in step 3 at 1F2 (position 5 of its line), waiting to receive micro-batch 2 forward, stage 0 to 1, from rank 0"
std::string Describe(const protocol::Cursor& cursor);
std::string Where(const protocol::Cursor& cursor);       // "in step 3 at 1F2 (position 5 of its line)"
std::string WaitWords(const protocol::Cursor& cursor);   // "waits in collective 7 of group data (all_reduce)"
std::string Collective(const protocol::Cursor& cursor);  // "collective 7 of group data (all_reduce)"
std::string GroupOf(const protocol::Cursor& cursor);
std::string Name(const Scene& scene, std::int64_t rank);  // "rank 1 (pid 4711)"
std::string Ranks(
    const std::vector<std::int64_t>& ranks);  // "rank 1", "ranks 0, 1 and 3", "ranks 0, 1, ... (64 in all)"

}  // namespace lockstep::launch::stuck
