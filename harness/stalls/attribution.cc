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

// By the cause's reason, of both comparisons.
using StepCharges = std::array<Charges, kCategories>;

void AddTo(Charges* sum, CauseId cause, double seconds) {
  for (auto& [id, total] : *sum) {
    if (id == cause) {
      total += seconds;
      return;
    }
  }
  sum->emplace_back(cause, seconds);
}

// The part of `charges` that makes longer, scaled to `seconds`.
Charges Scaled(const Charges& charges, double seconds) {
  double sum = 0;
  for (const auto& [cause, each] : charges) sum += std::max(0.0, each);
  Charges scaled;
  for (const auto& [cause, each] : charges) {
    if (each > 0 && sum > 0) scaled.emplace_back(cause, each * seconds / sum);
  }
  return scaled;
}

class Attributor {
 public:
  explicit Attributor(const Run& run)
      : evidence_(run),
        first_of_run_(static_cast<CauseId>(evidence_.stragglers.size())),
        waited_(evidence_.stragglers.size() + evidence_.imbalances.size(), 0.0),
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
    StepCharges of_step;
    for (std::size_t i = begin; i < end; ++i) {
      if (track.pieces[i].kind != PieceKind::kWait) continue;
      waits.push_back(ReasonsOf(rank, i));
      const StepCharges charges = ChargesOf(rank, i);
      for (std::size_t c = 0; c < kCategories; ++c) {
        for (const auto& [cause, seconds] : charges[c]) AddTo(&of_step[c], cause, seconds);
      }
    }
    const std::vector<Seconds> shares = Share(waits);
    AddWaited(rank, shares, of_step);
    auto share = shares.begin();
    const std::size_t first_slice = result_.slices[rank].size();
    for (std::size_t i = begin; i < end; ++i) {
      const Piece& piece = track.pieces[i];
      if (piece.kind == PieceKind::kWork) {
        const Item& item = track.items[static_cast<std::size_t>(piece.item)];
        AddSlice(rank, {step, piece.time, item.category, item.label, {}});
      } else if (piece.kind == PieceKind::kWait) {
        AddWait(rank, i, *share++, of_step);
      }
    }
    RankStep sums{static_cast<std::int64_t>(rank), step, WallOf(rank, step), {}};
    const std::vector<Slice>& slices = result_.slices[rank];
    for (std::size_t i = first_slice; i < slices.size(); ++i) {
      sums.seconds[static_cast<std::size_t>(slices[i].category)] += slices[i].time.ended - slices[i].time.began;
    }
    result_.steps.push_back(sums);
  }

  // What a rank's step waited for a reason, its causes waited for in their shares.
  void AddWaited(std::size_t rank, const std::vector<Seconds>& shares, const StepCharges& of_step) {
    for (std::size_t c = 0; c < kCategories; ++c) {
      double waited = 0;
      for (const Seconds& share : shares) waited += share[c];
      for (const auto& [cause, seconds] : Scaled(of_step[c], waited)) {
        if (OperationOf(cause).rank != static_cast<std::int64_t>(rank))
          waited_[static_cast<std::size_t>(cause)] += seconds;
      }
    }
  }

  double WallOf(std::size_t rank, std::int64_t step) const {
    for (const auto& each : run_.ranks[rank].steps) {
      if (each.step == step) return each.time.ended - each.time.began;
    }
    return 0;
  }

  WaitReasons ReasonsOf(std::size_t rank, std::size_t piece) const {
    WaitReasons wait;
    const Piece& recorded = evidence_.tracks.ranks[rank].pieces[piece];
    wait.waited = recorded.there - recorded.time.began;
    wait.reasons[At(Category::kBubble)] =
        std::max(0.0, evidence_.uniform.lasts[rank][piece] - evidence_.uniform.pieces[rank][piece].began);
    const StepCharges charges = ChargesOf(rank, piece);
    for (std::size_t c = 0; c < kCategories; ++c) {
      for (const auto& [cause, seconds] : charges[c]) wait.reasons[c] += seconds;
    }
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

  // Charges of a wait by reason; causes of the whole run are numbered after those of steps.
  StepCharges ChargesOf(std::size_t rank, std::size_t piece) const {
    StepCharges charges;
    const auto add = [&](const Comparison& comparison, const CauseTable& table, CauseId first) {
      for (const auto& [cause, seconds] : comparison.waits[rank][piece]) {
        charges[At(table.ReasonOf(cause))].emplace_back(first + cause, seconds);
      }
    };
    add(evidence_.straggling, evidence_.stragglers, 0);
    add(evidence_.imbalance, evidence_.imbalances, first_of_run_);
    return charges;
  }

  const Operation& OperationOf(CauseId cause) const {
    return cause < first_of_run_ ? evidence_.stragglers[cause] : evidence_.imbalances[cause - first_of_run_];
  }

  std::vector<Charge> Named(const Charges& charges) const {
    std::vector<Charge> named;
    for (const auto& [cause, seconds] : charges) named.push_back({OperationOf(cause), seconds});
    std::sort(named.begin(), named.end(), [](const Charge& a, const Charge& b) { return a.seconds > b.seconds; });
    if (named.size() > kMostCharges) named.resize(kMostCharges);
    return named;
  }

  void AddWait(std::size_t rank, std::size_t index, const Seconds& share, const StepCharges& of_step) {
    const Track& track = evidence_.tracks.ranks[rank];
    const Piece& piece = track.pieces[index];
    if (piece.label < 0) return;  // nothing was waited
    const std::string& label = track.items[static_cast<std::size_t>(piece.label)].label;
    const StepCharges charges = ChargesOf(rank, index);
    double at = piece.time.began;
    for (const Category category : AllCategories()) {
      if (category == Category::kBubble || !(share[At(category)] > 0)) continue;
      const double seconds = std::min(share[At(category)], piece.there - at);
      Charges own = Scaled(charges[At(category)], seconds);
      if (own.empty()) own = Scaled(of_step[At(category)], seconds);
      AddSlice(rank, {piece.step, {at, at + seconds}, category, label, Named(own)});
      at += seconds;
    }
    AddSlice(rank, {piece.step, {at, piece.there}, Category::kBubble, label, {}});
    if (piece.item < 0) return;
    const Item& transfer = track.items[static_cast<std::size_t>(piece.item)];
    AddSlice(rank, {piece.step, {piece.there, piece.time.ended}, transfer.category, transfer.label, {}});
  }

  static std::size_t At(Category category) { return static_cast<std::size_t>(category); }

  void TakeCauses() {
    std::vector<double> walls;
    for (const RankStep& each : result_.steps) walls.push_back(each.wall);
    const double least = kLeastExcess * LowerMedian(walls);
    const Worlds& worlds = evidence_.worlds;
    const auto middle = waited_.begin() + first_of_run_;
    result_.causes = evidence_.stragglers.Causes(evidence_.tracks, worlds.median, worlds.actual, evidence_.straggling,
                                                 {waited_.begin(), middle}, least);
    const std::vector<Cause> of_run = evidence_.imbalances.Causes(evidence_.tracks, worlds.uniform, worlds.median,
                                                                  evidence_.imbalance, {middle, waited_.end()}, least);
    result_.causes.insert(result_.causes.end(), of_run.begin(), of_run.end());
  }

  Evidence evidence_;
  const CauseId first_of_run_;
  std::vector<double> waited_;  // [cause] seconds that other ranks waited
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
