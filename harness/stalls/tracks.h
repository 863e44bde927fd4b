// Each rank's time as a sequence of pieces without gap or overlap: what it did, what it handed to others, what it
// waited for. Made of a run's timelines once; replays (replay.h) give the same pieces other times.
//
// A piece is work (an operation, a span, what lies between them), a wait for posts of other ranks, or a post of its
// own. A wait ends when the last of its posts is there and what was handed over has come after it: until the post it is
// the others', from then on transfer. Where intervals cover each other, a wait in a collective is taken out of what
// encloses it, a message's wait is only what no operation covers, and an operation of a device hides what its host did
// beside it. Pieces from the first common step to the last, with the time between steps, which belongs to none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/stalls/attribution.h"
#include "harness/stalls/model.h"

namespace lockstep::stalls {

// What is alike, so that one may be held against another: all forwards of a stage, all gaps between F and send.
struct Likeness {
  std::string name = "";     // as in Operation
  std::string context = "";  // of gaps what lies before and after, of spans where in the step, of collectives the group
  std::int64_t stage = -1;
  std::int64_t peer = -1;                             // pipeline rank of a message's sender
  auto operator<=>(const Likeness&) const = default;  // NOLINT(modernize-use-nullptr): a false alarm
};

struct Item {  // one operation, span, gap or transfer; one or more pieces
  Category category = Category::kUnattributed;
  Likeness like = {};
  std::int64_t step = 0;  // 0: between steps
  std::int64_t micro_batch = -1;
  bool gap = false;          // what lies between operations and spans; a step may have it or not
  bool on_the_way = false;   // bytes, or a meeting's own time: nobody's work
  std::int64_t peer = -1;    // rank of the world that a message came from
  std::int64_t blamed = -1;  // rank of the world; -1: the rank itself. Of a collective the first of its group
  std::string label = "";    // for people: "1F2", "wait for 0F2 from rank 0"
  double own = 0;            // seconds, of all its pieces; of a transfer its transit
  std::int32_t pieces = 0;
};

enum class PieceKind { kWork, kWait, kPost };

struct Piece {
  PieceKind kind = PieceKind::kWork;
  std::int32_t item = -1;                 // of work; of waits their transfer
  std::int32_t ordinal = 0;               // of work: among its item's pieces
  std::int32_t post = -1;                 // of posts: its number in the run
  std::int64_t step = 0;                  // 0: between steps
  protocol::Interval time = {};           // as recorded
  std::vector<std::int32_t> awaits = {};  // of waits: posts
  double there = 0;                       // of waits: the moment within its time when the last post was there
  double transit = 0;                     // of waits: seconds from the last post until all had come
  bool transit_known = true;              // otherwise the usual, and what makes no difference
  double lead = 0;          // of waits: seconds by which it ended before the last post, by clocks that err
  std::int32_t label = -1;  // of waits: the item that has the words for its first part
  double Seconds() const { return time.ended - time.began; }
};

struct Track {
  std::vector<Item> items;
  std::vector<Piece> pieces;           // in time
  std::vector<std::size_t> step_ends;  // [step - first_step]: one past the last piece of the step
};

struct Tracks {
  std::int64_t first_step = 1, last_step = 0;
  std::size_t posts = 0;
  std::vector<Track> ranks;
};

Tracks MakeTracks(const Run& run);

}  // namespace lockstep::stalls
