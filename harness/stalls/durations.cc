#include "harness/stalls/durations.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace lockstep::stalls {
namespace {

// Below, or in fewer than half of the steps, a median of pieces says nothing and its operation's has to do: an
// operation that is cut otherwise than usual may be so just because it took so long.
constexpr std::size_t kFewSamples = 3;

// Samples of one kind by who took them, and their medians.
template <typename Key>
class Usual {
 public:
  void Add(std::int64_t column, std::size_t rank, const Key& key, double seconds) {
    samples_[{column, key}][rank].push_back(seconds);
  }
  void Settle() {
    for (auto& [key, ranks] : samples_) {
      std::vector<double> medians;
      std::size_t most = 0;
      for (auto& [rank, values] : ranks) {
        most = std::max(most, values.size());
        medians.push_back(LowerMedian(std::move(values)));
      }
      usual_[key] = {LowerMedian(std::move(medians)), most};
    }
    samples_.clear();
  }
  // Seconds, and how many samples a rank had.
  std::pair<double, std::size_t> Of(std::int64_t column, const Key& key) const {
    const auto found = usual_.find({column, key});
    return found == usual_.end() ? std::pair<double, std::size_t>{0, 0} : found->second;
  }
  const auto& all() const { return usual_; }

 private:
  std::map<std::pair<std::int64_t, Key>, std::map<std::size_t, std::vector<double>>> samples_;
  std::map<std::pair<std::int64_t, Key>, std::pair<double, std::size_t>> usual_;
};

using PieceKey = std::tuple<Likeness, std::int32_t, std::int32_t>;  // ordinal, of how many

Likeness AnyStage(Likeness like) {
  like.stage = like.peer = -1;
  return like;
}

class WorldMaker {
 public:
  WorldMaker(const Run& run, const Tracks& tracks) : run_(run), tracks_(tracks) {
    for (std::size_t rank = 0; rank < tracks.ranks.size(); ++rank) Sample(rank);
    items_.Settle();
    pieces_.Settle();
    std::map<Likeness, std::vector<double>> stages;
    for (const auto& [key, usual] : items_.all()) stages[AnyStage(key.second)].push_back(usual.first);
    for (auto& [like, medians] : stages) uniform_[like] = LowerMedian(std::move(medians));
  }

  Worlds Make() const {
    Worlds worlds;
    for (std::size_t rank = 0; rank < tracks_.ranks.size(); ++rank) {
      const Track& track = tracks_.ranks[rank];
      for (auto* world : {&worlds.uniform, &worlds.median, &worlds.actual}) {
        world->emplace_back(track.pieces.size(), 0.0);
      }
      for (std::size_t i = 0; i < track.pieces.size(); ++i) {
        const Piece& piece = track.pieces[i];
        if (piece.item < 0) continue;
        const Item& item = track.items[static_cast<std::size_t>(piece.item)];
        const double usual = items_.Of(Column(rank), item.like).first;
        if (piece.kind == PieceKind::kWait) {
          worlds.actual[rank][i] = piece.transit_known ? piece.transit : std::min(usual, piece.transit);
          worlds.median[rank][i] = usual;
          continue;
        }
        const double median = MedianOf(rank, piece, item, usual);
        worlds.actual[rank][i] = piece.Seconds();
        worlds.median[rank][i] = median;
        if (item.category != Category::kCompute) continue;
        const double uniform = uniform_.at(AnyStage(item.like));
        worlds.uniform[rank][i] = usual > 0 ? median * uniform / usual : uniform / item.pieces;
      }
    }
    for (const auto& [key, usual] : items_.all()) {
      const Likeness& like = key.second;
      if (like.stage >= 0) worlds.usual.push_back({like.name, like.stage, usual.first, uniform_.at(AnyStage(like))});
    }
    return worlds;
  }

 private:
  std::int64_t Column(std::size_t rank) const { return run_.plan.At(static_cast<std::int64_t>(rank)).pipeline; }

  void Sample(std::size_t rank) {
    const Track& track = tracks_.ranks[rank];
    std::map<Likeness, std::set<std::int64_t>> gaps;  // steps that have one
    for (const Item& item : track.items) {
      if (item.pieces == 0) continue;
      items_.Add(Column(rank), rank, item.like, item.own);
      if (item.gap) gaps[item.like].insert(item.step);
    }
    // What a step mostly has not at all usually takes no time.
    for (const auto& [like, steps] : gaps) {
      const std::int64_t all = tracks_.last_step - tracks_.first_step + 1;
      for (std::int64_t i = std::ssize(steps); i < all; ++i) items_.Add(Column(rank), rank, like, 0);
    }
    for (const Piece& piece : track.pieces) {
      if (piece.kind != PieceKind::kWork) continue;
      const Item& item = track.items[static_cast<std::size_t>(piece.item)];
      if (item.category != Category::kCompute) continue;
      pieces_.Add(Column(rank), rank, {item.like, piece.ordinal, item.pieces}, piece.Seconds());
    }
  }

  // Operations alone post on their way at the same places each time.
  double MedianOf(std::size_t rank, const Piece& piece, const Item& item, double usual) const {
    if (item.category == Category::kCompute) {
      const auto [median, samples] = pieces_.Of(Column(rank), {item.like, piece.ordinal, item.pieces});
      const auto steps = static_cast<std::size_t>(tracks_.last_step - tracks_.first_step + 1);
      if (samples >= kFewSamples && 2 * samples >= steps) return median;
    }
    return piece.Seconds() * usual / item.own;
  }

  const Run& run_;
  const Tracks& tracks_;
  Usual<Likeness> items_;
  Usual<PieceKey> pieces_;
  std::map<Likeness, double> uniform_;
};

}  // namespace

double LowerMedian(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Worlds MakeWorlds(const Run& run, const Tracks& tracks) { return WorldMaker(run, tracks).Make(); }

}  // namespace lockstep::stalls
