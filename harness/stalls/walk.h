// The order in which the pieces of all ranks can be gone through: each rank's own, each wait after what it waits for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "harness/stalls/tracks.h"

namespace lockstep::stalls {

inline constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();

struct WalkState {
  explicit WalkState(const Tracks& tracks) : cursors(tracks.ranks.size(), 0), posted(tracks.posts, 0) {}
  std::vector<std::size_t> cursors;  // [rank] the next piece
  std::vector<char> posted;          // [post]
};

// Calls step(rank, piece) for every piece before `until[rank]` that hasn't been, as soon as what it waits for has been
// posted. Gives a rank that can't go on; kNobody where all came so far.
template <typename Step>
std::size_t Walk(const Tracks& tracks, const std::vector<std::size_t>& until, WalkState* state, const Step& step) {
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < tracks.ranks.size(); ++rank) {
      const auto& pieces = tracks.ranks[rank].pieces;
      for (std::size_t& at = state->cursors[rank]; at < until[rank]; ++at) {
        const Piece& piece = pieces[at];
        const auto ready = [&](std::int32_t post) { return state->posted[static_cast<std::size_t>(post)] != 0; };
        if (!std::all_of(piece.awaits.begin(), piece.awaits.end(), ready)) break;
        if (piece.kind == PieceKind::kPost) state->posted[static_cast<std::size_t>(piece.post)] = 1;
        step(rank, at);
        moved = true;
      }
    }
  }
  for (std::size_t rank = 0; rank < tracks.ranks.size(); ++rank) {
    if (state->cursors[rank] < until[rank]) return rank;
  }
  return kNobody;
}

}  // namespace lockstep::stalls
