// What the ranks' lines say of a message: who makes it, who needs it, and whether a rank has come past that.
//
// A message belongs to one column of the plan: the pipeline ranks of one replica and tensor rank. Where a rank's cursor
// contradicts its line, nothing is said of it.
#pragma once

#include <optional>

#include "harness/launch/stuck/scene.h"

namespace lockstep::launch::stuck {

struct Message {
  std::int64_t source = -1, target = -1, micro_batch = -1;  // stages
  bool backward = false;
};
Message MessageOf(const protocol::Cursor& cursor);  // that a receiving or sending rank waits for
std::string ToString(const Message& message);       // "micro-batch 2 forward, stage 0 to 1"

struct Place {
  std::int64_t rank = -1;  // of the world
  std::int64_t position = -1;
};

class Lines {
 public:
  explicit Lines(const Scene& scene) : scene_(scene) {}

  // The action in the column of `rank` whose result the message is, and the one that needs it.
  std::optional<Place> Producer(std::int64_t rank, const Message& message) const;
  std::optional<Place> Consumer(std::int64_t rank, const Message& message) const;
  // Whether the rank has done with its action at that position of that step; nothing where its cursor doesn't tell.
  std::optional<bool> Passed(const Place& place, std::int64_t step) const;
  // Whether any message in that direction goes from one rank to the other.
  bool Linked(std::int64_t from, std::int64_t to, bool backward) const;
  const protocol::Action& At(const Place& place) const;
  bool Agrees(std::int64_t rank) const;  // the cursor's action stands at its position of the line

 private:
  std::optional<Place> Find(std::int64_t rank, std::int64_t stage, std::int64_t micro_batch, bool backward) const;
  const RankView& Of(std::int64_t rank) const { return scene_.ranks[static_cast<std::size_t>(rank)]; }

  const Scene& scene_;
};

}  // namespace lockstep::launch::stuck
