// Why nothing moves: the graph of waits, and what its end or its cycle is.
//
// A rank that waits for a message waits for its sender, one that waits for its message to leave for the receiver, one
// in a collective for each member that isn't there. The causes are looked for in this order: a rank that gave up, is
// dead, is stopped, or works; a message that went elsewhere, or that its sender has passed by; a collective whose
// members are at different operations, or that a member has passed by; a cycle. It reads a scene, and nothing else.
#pragma once

#include <optional>

#include "harness/launch/stuck/scene.h"
#include "harness/protocol/stuck.h"

namespace lockstep::launch::stuck {

// Nothing where the cursors don't explain it. `seconds` is left at 0.
std::optional<protocol::Stuck> Diagnose(const Scene& scene);

// Of a rank that gave up with these words: its kind, where it names one, and whom it was waiting for.
std::optional<protocol::Stuck> GaveUp(const Scene& scene, std::int64_t rank, const std::string& error);

// The ranks that wait for this one, whatever it does.
std::vector<std::int64_t> WaitingFor(const Scene& scene, std::int64_t rank);

}  // namespace lockstep::launch::stuck
