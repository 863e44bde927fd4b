#include "harness/stalls/compare.h"

#include <algorithm>
#include <limits>

#include "harness/stalls/walk.h"

namespace lockstep::stalls {
namespace {

std::size_t Cast(std::int32_t value) { return static_cast<std::size_t>(value); }

// What makes a moment late: seconds by cause.
class Lateness {
 public:
  const Charges& charges() const { return charges_; }

  void Add(CauseId cause, double seconds) {
    if (seconds == 0) return;
    const auto at = std::lower_bound(charges_.begin(), charges_.end(), cause,
                                     [](const auto& entry, CauseId id) { return entry.first < id; });
    if (at != charges_.end() && at->first == cause) {
      at->second += seconds;
    } else {
      charges_.insert(at, {cause, seconds});
    }
  }

  double Of(CauseId cause) const {
    const auto at = std::lower_bound(charges_.begin(), charges_.end(), cause,
                                     [](const auto& entry, CauseId id) { return entry.first < id; });
    return at != charges_.end() && at->first == cause ? at->second : 0;
  }

  // a * first + b * second
  static Lateness Sum(double a, const Lateness& first, double b, const Lateness& second) {
    Lateness sum;
    auto i = first.charges_.begin(), j = second.charges_.begin();
    while (i != first.charges_.end() || j != second.charges_.end()) {
      const CauseId left = i == first.charges_.end() ? std::numeric_limits<CauseId>::max() : i->first;
      const CauseId right = j == second.charges_.end() ? std::numeric_limits<CauseId>::max() : j->first;
      const CauseId cause = std::min(left, right);
      double seconds = 0;
      if (left == cause) seconds += a * (i++)->second;
      if (right == cause) seconds += b * (j++)->second;
      if (seconds != 0) sum.charges_.emplace_back(cause, seconds);
    }
    return sum;
  }

 private:
  Charges charges_;
};

class Comparer {
 public:
  Comparer(const Tracks& tracks, const std::vector<std::vector<CauseId>>& causes, std::size_t cause_count,
           const World& first, const World& second)
      : tracks_(tracks),
        causes_(causes),
        first_(first),
        second_(second),
        late_(tracks.ranks.size()),
        at_post_(tracks.posts) {
    result_.cost.assign(cause_count, 0.0);
    for (const Track& track : tracks.ranks) result_.waits.emplace_back(track.pieces.size());
  }

  Comparison Run() {
    std::vector<std::size_t> until(tracks_.ranks.size());
    WalkState state(tracks_);
    for (std::int64_t step = tracks_.first_step; step <= tracks_.last_step; ++step) {
      for (std::size_t rank = 0; rank < until.size(); ++rank) {
        until[rank] = tracks_.ranks[rank].step_ends[static_cast<std::size_t>(step - tracks_.first_step)];
      }
      Walk(tracks_, until, &state, [this](std::size_t rank, std::size_t piece) { Take(rank, piece); });
      for (const std::int32_t post : held_) at_post_[Cast(post)] = {};
      held_.clear();
      TakeCommon();
    }
    TakeRest();
    return std::move(result_);
  }

 private:
  void Take(std::size_t rank, std::size_t index) {
    const Piece& piece = tracks_.ranks[rank].pieces[index];
    switch (piece.kind) {
      case PieceKind::kWork:
        late_[rank].Add(causes_[rank][index], second_.seconds[rank][index] - first_.seconds[rank][index]);
        break;
      case PieceKind::kPost:
        at_post_[Cast(piece.post)] = late_[rank];
        held_.push_back(piece.post);
        break;
      case PieceKind::kWait:
        Join(rank, index, piece);
    }
  }

  void Join(std::size_t rank, std::size_t index, const Piece& piece) {
    double in_first = first_.moments.pieces[rank][index].began, in_second = second_.moments.pieces[rank][index].began;
    const Lateness arrival = late_[rank];
    for (const std::int32_t post : piece.awaits) {
      const double ahead_in_first = first_.moments.posts[Cast(post)] - piece.lead - in_first;
      const double ahead_in_second = second_.moments.posts[Cast(post)] - piece.lead - in_second;
      if (ahead_in_first <= 0 && ahead_in_second <= 0) continue;
      // The share of the way from the first world to the second on which the post is the later one.
      double share = 1;
      if (ahead_in_first < 0) share = ahead_in_second / (ahead_in_second - ahead_in_first);
      if (ahead_in_second < 0) share = ahead_in_first / (ahead_in_first - ahead_in_second);
      late_[rank] = Lateness::Sum(1 - share, late_[rank], share, at_post_[Cast(post)]);
      in_first += std::max(0.0, ahead_in_first);
      in_second += std::max(0.0, ahead_in_second);
    }
    result_.waits[rank][index] = Lateness::Sum(1, late_[rank], -1, arrival).charges();
  }

  // What all ranks have in common no longer makes one wait for another: it has cost the run that much.
  void TakeCommon() {
    Lateness common;
    for (const auto& [cause, seconds] : late_[0].charges()) {
      double least = seconds, most = seconds;
      for (const Lateness& late : late_) {
        least = std::min(least, late.Of(cause));
        most = std::max(most, late.Of(cause));
      }
      if (least > 0 || most < 0) common.Add(cause, least > 0 ? least : most);
    }
    for (const auto& [cause, seconds] : common.charges()) result_.cost[Cast(cause)] += seconds;
    for (Lateness& late : late_) late = Lateness::Sum(1, late, -1, common);
  }

  // The run ends with the rank that ends last.
  void TakeRest() {
    std::size_t last = 0;
    double ended = -std::numeric_limits<double>::infinity();
    for (std::size_t rank = 0; rank < late_.size(); ++rank) {
      const auto& pieces = second_.moments.pieces[rank];
      if (pieces.empty() || pieces.back().ended <= ended) continue;
      ended = pieces.back().ended;
      last = rank;
    }
    for (const auto& [cause, seconds] : late_[last].charges()) result_.cost[Cast(cause)] += seconds;
  }

  const Tracks& tracks_;
  const std::vector<std::vector<CauseId>>& causes_;
  const World &first_, &second_;
  std::vector<Lateness> late_;     // [rank] where it is now
  std::vector<Lateness> at_post_;  // [post] of this step
  std::vector<std::int32_t> held_;
  Comparison result_;
};

}  // namespace

Comparison Compare(const Tracks& tracks, const std::vector<std::vector<CauseId>>& causes, std::size_t cause_count,
                   const World& first, const World& second) {
  return Comparer(tracks, causes, cause_count, first, second).Run();
}

}  // namespace lockstep::stalls
