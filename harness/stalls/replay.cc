#include "harness/stalls/replay.h"

#include <algorithm>
#include <limits>

#include "harness/stalls/walk.h"

namespace lockstep::stalls {
namespace {

std::size_t Cast(std::int32_t value) { return static_cast<std::size_t>(value); }

std::vector<std::size_t> Ends(const Tracks& tracks) {
  std::vector<std::size_t> ends;
  for (const Track& track : tracks.ranks) ends.push_back(track.pieces.size());
  return ends;
}

}  // namespace

Moments Replay(const Tracks& tracks, const PieceSeconds& seconds) {
  Moments moments;
  moments.posts.assign(tracks.posts, 0.0);
  std::vector<double> now;
  for (const Track& track : tracks.ranks) {
    now.push_back(track.pieces.empty() ? 0 : track.pieces.front().time.began);
    moments.pieces.emplace_back(track.pieces.size());
    moments.lasts.emplace_back(track.pieces.size(), 0.0);
  }
  WalkState state(tracks);
  Walk(tracks, Ends(tracks), &state, [&](std::size_t rank, std::size_t index) {
    const Piece& piece = tracks.ranks[rank].pieces[index];
    const double began = now[rank];
    double ended = began;
    if (piece.kind == PieceKind::kWork) ended += seconds[rank][index];
    if (!piece.awaits.empty()) {
      double last = -std::numeric_limits<double>::infinity();
      for (const std::int32_t post : piece.awaits) last = std::max(last, moments.posts[Cast(post)] - piece.lead);
      moments.lasts[rank][index] = last;
      ended = std::max(began, last + seconds[rank][index]);
    }
    if (piece.kind == PieceKind::kPost) moments.posts[Cast(piece.post)] = began;
    moments.pieces[rank][index] = {began, ended};
    now[rank] = ended;
  });
  return moments;
}

std::size_t Untangle(Tracks* tracks) {
  WalkState state(*tracks);
  const std::vector<std::size_t> ends = Ends(*tracks);
  std::size_t taken = 0;
  while (Walk(*tracks, ends, &state, [](std::size_t, std::size_t) {}) != kNobody) {
    Piece* earliest = nullptr;
    for (std::size_t rank = 0; rank < ends.size(); ++rank) {
      if (state.cursors[rank] >= ends[rank]) continue;
      Piece& piece = tracks->ranks[rank].pieces[state.cursors[rank]];
      if (earliest == nullptr || piece.time.began < earliest->time.began) earliest = &piece;
    }
    earliest->awaits.clear();
    ++taken;
  }
  return taken;
}

}  // namespace lockstep::stalls
