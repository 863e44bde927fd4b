#include "harness/stalls/attribution.h"

#include <algorithm>
#include <array>

#include "harness/stalls/causes.h"
#include "harness/stalls/durations.h"
#include "harness/stalls/replay.h"
#include "harness/stalls/shares.h"
#include "harness/stalls/tracks.h"

namespace lockstep::stalls {
namespace {

constexpr std::array<std::pair<Category, std::string_view>, kCategories> kNames{
    {{Category::kCompute, "compute"},
     {Category::kBubble, "bubble"},
     {Category::kImbalance, "imbalance"},
     {Category::kStraggler, "straggler"},
     {Category::kTransfer, "transfer"},
     {Category::kData, "data"},
     {Category::kHost, "host"},
     {Category::kOptimizer, "optimizer"},
     {Category::kMemory, "memory"},
     {Category::kUnattributed, "unattributed"}}};

constexpr std::size_t kMostCharges = 4;  // that a slice names
constexpr double kLeastExcess = 1e-3;    // of a step's median: less is not worth telling

// The replays, and why they differ.
struct Evidence {
  explicit Evidence(const Run& run)
      : tracks(MakeTracks(run)),
        untangled(Untangle(&tracks)),
        worlds(MakeWorlds(run, tracks)),
        uniform(Replay(tracks, worlds.uniform)),
        median(Replay(tracks, worlds.median)),
        actual(Replay(tracks, worlds.actual)),
        stragglers(tracks, Scope::kOfStep),
        imbalances(tracks, Scope::kOfRun),
        straggling(
            Compare(tracks, stragglers.pieces(), stragglers.size(), {worlds.median, median}, {worlds.actual, actual})),
        imbalance(Compare(tracks, imbalances.pieces(), imbalances.size(), {worlds.uniform, uniform},
                          {worlds.median, median})) {}

  Tracks tracks;
  std::size_t untangled;
  Worlds worlds;
  Moments uniform, median, actual;
  CauseTable stragglers, imbalances;
  Comparison straggling, imbalance;
};

// The part of `charges` that made a wait longer for this reason, scaled to `seconds`; largest first.
std::vector<Charge> Scaled(const Charges& charges, Category reason, double seconds, const CauseTable& table) {
  double sum = 0;
  std::vector<Charge> scaled;
  for (const auto& [cause, each] : charges) {
    if (each <= 0 || table.ReasonOf(cause) != reason) continue;
    sum += each;
    scaled.push_back({table[cause], each});
  }
  for (Charge& charge : scaled) charge.seconds *= seconds / sum;
  std::sort(scaled.begin(), scaled.end(), [](const Charge& a, const Charge& b) { return a.seconds > b.seconds; });
  if (scaled.size() > kMostCharges) scaled.resize(kMostCharges);
  return scaled;
}

// How far each of a wait's reasons got of what its charges say.
void AddWaited(const Charges& charges, const Seconds& share, const Seconds& asked, const CauseTable& table,
               std::size_t rank, std::vector<double>* waited) {
  for (const auto& [cause, each] : charges) {
    const auto reason = static_cast<std::size_t>(table.ReasonOf(cause));
    if (each <= 0 || !(asked[reason] > 0) || table[cause].rank == static_cast<std::int64_t>(rank)) continue;
    (*waited)[static_cast<std::size_t>(cause)] += each * share[reason] / asked[reason];
  }
}

class Attributor {
 public:
  explicit Attributor(const Run& run)
      : evidence_(run),
        straggled_(evidence_.stragglers.size(), 0.0),
        unbalanced_(evidence_.imbalances.size(), 0.0),
        run_(run) {}

  Attribution Attribute() {
    for (std::size_t rank = 0; rank < run_.ranks.size(); ++rank) {
      result_.slices.emplace_back();
      for (std::int64_t step = run_.first_step; step <= run_.last_step; ++step) TakeStep(rank, step);
    }
    TakeCauses();
    result_.usual = evidence_.worlds.usual;
    result_.untangled = evidence_.untangled;
    return std::move(result_);
  }

 private:
  // Pieces of a step begin after those that are between it and the step before.
  std::pair<std::size_t, std::size_t> PiecesOf(std::size_t rank, std::int64_t step) const {
    const Track& track = evidence_.tracks.ranks[rank];
    const auto number = static_cast<std::size_t>(step - run_.first_step);
    std::size_t begin = number == 0 ? 0 : track.step_ends[number - 1];
    while (begin < track.step_ends[number] && track.pieces[begin].step != step) ++begin;
    return {begin, track.step_ends[number]};
  }

  void TakeStep(std::size_t rank, std::int64_t step) {
    const Track& track = evidence_.tracks.ranks[rank];
    const auto [begin, end] = PiecesOf(rank, step);
    std::vector<WaitReasons> waits;
    for (std::size_t i = begin; i < end; ++i) {
      if (track.pieces[i].kind == PieceKind::kWait) waits.push_back(ReasonsOf(rank, i));
    }
    const std::vector<Seconds> shares = Share(waits);
    auto share = shares.begin();
    const std::size_t first_slice = result_.slices[rank].size();
    for (std::size_t i = begin; i < end; ++i) {
      const Piece& piece = track.pieces[i];
      if (piece.kind == PieceKind::kWork) {
        const Item& item = track.items[static_cast<std::size_t>(piece.item)];
        AddSlice(rank, {step, piece.time, item.category, item.label, {}});
      } else if (piece.kind == PieceKind::kWait) {
        AddWait(rank, i, *share++);
      }
    }
    RankStep sums{static_cast<std::int64_t>(rank), step, WallOf(rank, step), {}};
    const std::vector<Slice>& slices = result_.slices[rank];
    for (std::size_t i = first_slice; i < slices.size(); ++i) {
      sums.seconds[static_cast<std::size_t>(slices[i].category)] += slices[i].time.ended - slices[i].time.began;
    }
    result_.steps.push_back(sums);
  }

  double WallOf(std::size_t rank, std::int64_t step) const {
    for (const auto& each : run_.ranks[rank].steps) {
      if (each.step == step) return each.time.ended - each.time.began;
    }
    return 0;
  }

  WaitReasons ReasonsOf(std::size_t rank, std::size_t piece) const {
    WaitReasons wait;
    wait.waited = evidence_.tracks.ranks[rank].pieces[piece].Seconds();
    const protocol::Interval& ideal = evidence_.uniform.pieces[rank][piece];
    wait.reasons[static_cast<std::size_t>(Category::kBubble)] = ideal.ended - ideal.began;
    const auto add = [&](const Comparison& comparison, const CauseTable& table) {
      for (const auto& [cause, seconds] : comparison.waits[rank][piece]) {
        wait.reasons[static_cast<std::size_t>(table.ReasonOf(cause))] += seconds;
      }
    };
    add(evidence_.imbalance, evidence_.imbalances);
    add(evidence_.straggling, evidence_.stragglers);
    return wait;
  }

  void AddSlice(std::size_t rank, Slice slice) {
    std::vector<Slice>& slices = result_.slices[rank];
    const bool goes_on = !slices.empty() && slices.back().step == slice.step && slices.back().name == slice.name &&
                         slices.back().category == slice.category && slices.back().time.ended == slice.time.began &&
                         slice.charges.empty() && slices.back().charges.empty();
    if (goes_on) {
      slices.back().time.ended = slice.time.ended;
    } else if (slice.time.ended > slice.time.began) {
      slices.push_back(std::move(slice));
    }
  }

  void AddWait(std::size_t rank, std::size_t index, const Seconds& share) {
    const Track& track = evidence_.tracks.ranks[rank];
    const Piece& piece = track.pieces[index];
    const std::string& label = track.items[static_cast<std::size_t>(piece.item)].label;
    const Charges &of_step = evidence_.straggling.waits[rank][index], &of_run = evidence_.imbalance.waits[rank][index];
    Seconds asked{};  // by reason: what made the wait longer
    for (const auto& [cause, each] : of_step) asked[At(evidence_.stragglers.ReasonOf(cause))] += std::max(0.0, each);
    for (const auto& [cause, each] : of_run) asked[At(evidence_.imbalances.ReasonOf(cause))] += std::max(0.0, each);
    AddWaited(of_step, share, asked, evidence_.stragglers, rank, &straggled_);
    AddWaited(of_run, share, asked, evidence_.imbalances, rank, &unbalanced_);
    double at = piece.time.began;
    for (const Category category : AllCategories()) {
      if (category == Category::kBubble || !(share[At(category)] > 0)) continue;
      const double seconds = std::min(share[At(category)], piece.time.ended - at);
      std::vector<Charge> charges = Scaled(of_step, category, seconds, evidence_.stragglers);
      if (charges.empty()) charges = Scaled(of_run, category, seconds, evidence_.imbalances);
      AddSlice(rank, {piece.step, {at, at + seconds}, category, label, std::move(charges)});
      at += seconds;
    }
    AddSlice(rank, {piece.step, {at, piece.time.ended}, Category::kBubble, label, {}});
  }

  static std::size_t At(Category category) { return static_cast<std::size_t>(category); }

  void TakeCauses() {
    std::vector<double> walls;
    for (const RankStep& each : result_.steps) walls.push_back(each.wall);
    const double least = kLeastExcess * LowerMedian(walls);
    const Worlds& worlds = evidence_.worlds;
    result_.causes = evidence_.stragglers.Causes(evidence_.tracks, worlds.median, worlds.actual, evidence_.straggling,
                                                 straggled_, least);
    for (const Cause& cause : evidence_.imbalances.Causes(evidence_.tracks, worlds.uniform, worlds.median,
                                                          evidence_.imbalance, unbalanced_, least)) {
      result_.causes.push_back(cause);
    }
  }

  Evidence evidence_;
  std::vector<double> straggled_, unbalanced_;  // [cause] seconds that others waited
  const Run& run_;
  Attribution result_;
};

}  // namespace

std::string_view NameOf(Category category) { return kNames[static_cast<std::size_t>(category)].second; }

const std::vector<Category>& AllCategories() {
  static const std::vector<Category> kAll = [] {
    std::vector<Category> all;
    for (const auto& [category, name] : kNames) all.push_back(category);
    return all;
  }();
  return kAll;
}

bool IsIdle(Category category) {
  return category == Category::kBubble || category == Category::kImbalance || category == Category::kStraggler ||
         category == Category::kTransfer;
}

Attribution Attribute(const Run& run) { return Attributor(run).Attribute(); }

}  // namespace lockstep::stalls
