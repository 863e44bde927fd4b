// Why a run came to a standstill, or who held it up: one finding, as records keep it.
//
// Found by harness/launch from the ranks' cursors, or by a rank itself that gave up with one of these kinds in its
// words. It knows no processes and no words but those that it is given.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/protocol/fields.h"

namespace lockstep::protocol {

enum class StuckKind {
  kLinkCrossed,    // a message went to another rank, or another message came
  kLinkMissing,    // a send or receive that was never made
  kMemberMissing,  // a collective that a member passes by
  kOutOfOrder,     // messages of a link, or collectives of groups that overlap, in another order than the peer's
  kMismatch,       // one size, type or operation here, another there
  kDeadlock,       // each rank of a cycle waits for what the next does later: the schedule's own
  kPeerDead,
  kPeerStopped,
  kPeerSlow  // works, while others wait; the run goes on
};
inline constexpr std::array<std::string_view, 9> kStuckKinds{"link crossed", "link missing", "member missing",
                                                             "out of order", "mismatch",     "deadlock",
                                                             "peer dead",    "peer stopped", "peer slow"};
std::string_view NameOf(StuckKind kind);

struct Stuck {
  StuckKind kind = StuckKind::kDeadlock;
  std::int64_t rank = -1;    // who is dead, stopped or slow; otherwise who waits, or has met what is wrong
  std::int64_t peer = -1;    // who waits for it; otherwise whom it waits for
  std::int64_t actual = -1;  // link crossed: the rank that is there in the peer's place
  std::int64_t step = -1, position = -1, stage = -1, micro_batch = -1;  // where `rank` stands
  std::string group;                                                    // of the collective
  std::int64_t number = -1;                                             // of the collective
  std::vector<std::int64_t> cycle;                                      // deadlock: each waits for the next
  double seconds = 0;  // without progress, when it was found; a watcher takes off what was waited for a core
  std::string words;   // one line
  bool operator==(const Stuck&) const = default;
};

nlohmann::json StuckToJson(const Stuck& stuck);
Stuck StuckFromFields(Fields fields);  // throws BadInput

// The kind that a rank's own words name ("... : link crossed: expected ..."), where they do.
std::optional<StuckKind> KindInWords(const std::string& words);
// The message that they say was expected ("... from member 1 (rank 5 of the world) ...: KIND: expected 96 elements of
// step 3, micro-batch 2, stage 0 to 1 ..."); -1 for what they don't say.
struct ExpectedMessage {
  std::int64_t peer = -1, micro_batch = -1, stage = -1;  // stage: of who waits
};
ExpectedMessage ExpectedInWords(const std::string& words);

}  // namespace lockstep::protocol
