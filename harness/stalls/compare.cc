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

  // A moment in both worlds.
  struct Point {
    double first = 0, second = 0;
    Lateness late;
  };

  // The later of two. The share of the way from the first world to the second on which `b` is it counts for it.
  static Point Later(const Point& a, const Point& b) {
    const double first = b.first - a.first, second = b.second - a.second;
    if (first <= 0 && second <= 0) return a;
    if (first >= 0 && second >= 0) return b;
    const double share = first < 0 ? second / (second - first) : first / (first - second);
    return {std::max(a.first, b.first), std::max(a.second, b.second), Lateness::Sum(1 - share, a.late, share, b.late)};
  }

  void Join(std::size_t rank, std::size_t index, const Piece& piece) {
    if (piece.awaits.empty()) return;  // untangled
    const Point arrival{first_.moments.pieces[rank][index].began, second_.moments.pieces[rank][index].began,
                        late_[rank]};
    const auto at = [&](std::int32_t post) {
      return Point{first_.moments.posts[Cast(post)] - piece.lead, second_.moments.posts[Cast(post)] - piece.lead,
                   at_post_[Cast(post)]};
    };
    Point last = at(piece.awaits[0]);
    for (std::size_t i = 1; i < piece.awaits.size(); ++i) last = Later(last, at(piece.awaits[i]));
    result_.waits[rank][index] = Lateness::Sum(1, Later(arrival, last).late, -1, arrival.late).charges();
    last.first += first_.seconds[rank][index];
    last.second += second_.seconds[rank][index];
    if (piece.item >= 0) {
      last.late.Add(causes_[rank][index], second_.seconds[rank][index] - first_.seconds[rank][index]);
    }
    late_[rank] = Later(arrival, last).late;
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
