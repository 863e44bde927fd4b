// What ranks hand each other, numbered: each send, receive and arrival at a collective is a post, and each wait is for
// posts of other ranks.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/stalls/model.h"

namespace lockstep::stalls {

struct EndOfEvent {
  std::int32_t post = -1;            // its own; -1: of an event that joined nothing
  std::vector<std::int32_t> awaits;  // those that it needs: of a message its peer's, of a collective everybody's
};

struct Posts {
  std::vector<double> times;                         // [post] as recorded
  std::vector<std::vector<EndOfEvent>> messages;     // [rank][index in the rank's messages]
  std::vector<std::vector<EndOfEvent>> collectives;  // [rank][index in the rank's collectives]

  // When the last of them was there; `otherwise` where there is none.
  double Last(const std::vector<std::int32_t>& awaits, double otherwise) const;
};

// A send awaits its receive, where it was still waiting when the receive was posted: an eager one needs nobody.
Posts NumberPosts(const Run& run);

}  // namespace lockstep::stalls
