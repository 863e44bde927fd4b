// What a rank recorded of one step, sorted for its track: items, what covers which time, and moments.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "harness/stalls/covers.h"
#include "harness/stalls/posts.h"
#include "harness/stalls/tracks.h"

namespace lockstep::stalls {

struct StepParts {
  struct Wait {
    const EndOfEvent* end = nullptr;
    std::int32_t transfer = -1, taking = -1;  // items: on its way; from its arrival to the wait's end
    double arrived = 0;
    // A message that was posted here after it was sent may have come at any time before: how long it took is not known.
    double posted = 0;
  };
  struct Moment {
    double time = 0;
    std::int32_t post = -1;  // or a message that was there before anybody needed it, and might not be in a replay:
    Wait message = {};
  };
  std::vector<Cover> covers;
  std::vector<Moment> moments;
  std::map<std::int32_t, Wait> waits;  // by item
  bool has_line = false;               // of operations; from when the first was come to, to the end of the last
  double line_began = 0, line_ended = 0;
};

// All steps of one rank.
class RankParts {
 public:
  RankParts(const Run& run, const Posts& posts, std::size_t rank);
  // Adds the step's items to `items`.
  StepParts Of(std::int64_t step, std::vector<Item>* items) const;

 private:
  using Indices = std::map<std::int64_t, std::vector<std::size_t>>;

  const std::vector<std::size_t>& In(const Indices& indices, std::int64_t step) const;
  void TakeOps(std::int64_t step, std::vector<Item>* items, StepParts* parts) const;
  void TakeSpans(std::int64_t step, std::vector<Item>* items, StepParts* parts) const;
  void TakeMessages(std::int64_t step, std::vector<Item>* items, StepParts* parts) const;
  void TakeCollectives(std::int64_t step, std::vector<Item>* items, StepParts* parts) const;
  const protocol::TimelineOp* NeederOf(const protocol::TimelineMessage& message) const;

  const Run& run_;
  const protocol::Timeline& timeline_;
  const Posts& posts_;
  std::size_t rank_;
  Indices ops_, spans_, messages_, collectives_;
  std::vector<std::size_t> none_;
};

}  // namespace lockstep::stalls
