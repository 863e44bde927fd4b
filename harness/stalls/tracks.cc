#include "harness/stalls/tracks.h"

#include <algorithm>
#include <map>
#include <optional>

#include "harness/stalls/posts.h"
#include "harness/stalls/step_parts.h"

namespace lockstep::stalls {
namespace {

using protocol::Interval;

class TrackMaker {
 public:
  TrackMaker(const Run& run, const Posts& posts, std::size_t rank) : posts_(posts), parts_(run, posts, rank) {
    for (const auto& step : run.ranks[rank].steps) {
      if (step.step >= run.first_step && step.step <= run.last_step) steps_[step.step] = step.time;
    }
  }

  Track Make() {
    std::optional<double> ended;
    for (const auto& [step, time] : steps_) {
      if (ended && time.began > *ended) {
        const std::int32_t item =
            Add({.category = Category::kHost, .like = {.name = "between steps"}, .label = "between steps"});
        AddWork(item, {*ended, time.began}, 0);
      }
      MakeStep(step, {ended ? std::max(time.began, *ended) : time.began, time.ended});
      ended = time.ended;
      track_.step_ends.push_back(track_.pieces.size());
    }
    return std::move(track_);
  }

 private:
  std::int32_t Add(Item item) {
    track_.items.push_back(std::move(item));
    return static_cast<std::int32_t>(track_.items.size() - 1);
  }
  Item& ItemAt(std::int32_t item) { return track_.items[static_cast<std::size_t>(item)]; }

  void AddWork(std::int32_t index, const Interval& time, std::int64_t step) {
    if (!(time.ended > time.began)) return;
    Item& item = ItemAt(index);
    item.own += time.ended - time.began;
    track_.pieces.push_back(
        {.kind = PieceKind::kWork, .item = index, .ordinal = item.pieces++, .step = step, .time = time});
  }

  void MakeStep(std::int64_t step, const Interval& window) {
    StepParts parts = parts_.Of(step, &track_.items);
    for (StepParts::Moment& moment : parts.moments) moment.time = std::clamp(moment.time, window.began, window.ended);
    std::stable_sort(parts.moments.begin(), parts.moments.end(),
                     [](const auto& a, const auto& b) { return a.time < b.time; });
    std::vector<double> cuts;
    for (const StepParts::Moment& moment : parts.moments) cuts.push_back(moment.time);
    const std::vector<Stretch> stretches = Sweep(parts.covers, window, cuts);
    std::map<std::int32_t, std::size_t> last_stretch;
    for (std::size_t i = 0; i < stretches.size(); ++i) last_stretch[stretches[i].item] = i;
    auto moment = parts.moments.begin();
    const auto emit_moments = [&](double until) {
      for (; moment != parts.moments.end() && moment->time <= until; ++moment) Emit(*moment, step);
    };
    gap_ = previous_ = -1;
    for (std::size_t i = 0; i < stretches.size(); ++i) {
      emit_moments(stretches[i].time.began);
      Emit(stretches[i], step, parts, last_stretch[stretches[i].item] == i);
    }
    emit_moments(window.ended);
    CloseGap("end");
  }

  void Emit(const StepParts::Moment& moment, std::int64_t step) {
    const Interval now{moment.time, moment.time};
    if (moment.post >= 0) {
      track_.pieces.push_back({.kind = PieceKind::kPost, .post = moment.post, .step = step, .time = now});
    } else {
      AddWait(moment.message.transfer, moment.message, now, step);
    }
  }

  void Emit(const Stretch& stretch, std::int64_t step, const StepParts& parts, bool last) {
    const auto wait = parts.waits.find(stretch.item);
    // Waiting while an operation of the device was still to come: it had been launched too late.
    if (stretch.item < 0 || (wait != parts.waits.end() && !last)) return AddGap(stretch.time, step, parts);
    if (wait != parts.waits.end()) return AddWait(stretch.item, wait->second, stretch.time, step);
    CloseGap(ItemAt(stretch.item).like.name);
    previous_ = stretch.item;
    previous_ended_ = stretch.time.ended;
    AddWork(stretch.item, stretch.time, step);
  }

  void AddWait(std::int32_t label, const StepParts::Wait& wait, const Interval& time, std::int64_t step) {
    if (wait.end->awaits.empty()) return AddWork(wait.transfer, time, step);
    Piece piece{.kind = PieceKind::kWait,
                .item = wait.transfer,
                .step = step,
                .time = time,
                .awaits = wait.end->awaits,
                .label = label};
    const double post = posts_.Last(piece.awaits, time.began);
    piece.lead = std::max(0.0, post - time.ended);
    piece.there = std::clamp(post, time.began, time.ended);
    const double least = time.ended > time.began ? piece.there : post;
    const double arrived = std::clamp(wait.arrived, std::min(least, time.ended), time.ended);
    piece.transit_known = post > wait.posted && wait.arrived <= time.ended;
    if (piece.transit_known) {
      piece.transit = std::max(0.0, arrived - (post - piece.lead));
      ItemAt(wait.transfer).own = piece.transit;
      ItemAt(wait.transfer).pieces = 1;
    } else {
      piece.transit = std::max(0.0, time.began - (post - piece.lead));  // at most
    }
    piece.time.ended = piece.transit_known ? std::max(arrived, time.began) : piece.there;
    track_.pieces.push_back(piece);
    if (wait.taking >= 0) AddWork(wait.taking, {piece.time.ended, time.ended}, step);
  }

  // One gap from one operation or span to the next, whatever waits lie in it. What lies beside an operation of the
  // line, or follows it at once, is launching; elsewhere nobody has said what it was.
  void AddGap(const Interval& time, std::int64_t step, const StepParts& parts) {
    if (gap_ < 0) {
      const std::string before = previous_ < 0 ? "begin" : ItemAt(previous_).like.name;
      const bool after_op = previous_ >= 0 && time.began <= previous_ended_ &&
                            (ItemAt(previous_).category == Category::kCompute || before == "send");
      const bool in_line =
          parts.has_line && time.began >= parts.line_began && (time.began <= parts.line_ended || after_op);
      gap_ = Add({.category = in_line ? Category::kHost : Category::kUnattributed,
                  .like = {.name = in_line ? "host" : "other", .context = before},
                  .step = step,
                  .gap = true,
                  .label = in_line ? "host" : "not told"});
    }
    AddWork(gap_, time, step);
  }
  void CloseGap(const std::string& next) {
    if (gap_ >= 0) ItemAt(gap_).like.context += ">" + next;
    gap_ = -1;
  }

  const Posts& posts_;
  RankParts parts_;
  std::map<std::int64_t, Interval> steps_;
  Track track_;
  std::int32_t gap_ = -1, previous_ = -1;
  double previous_ended_ = 0;
};

}  // namespace

Tracks MakeTracks(const Run& run) {
  const Posts posts = NumberPosts(run);
  Tracks tracks;
  tracks.first_step = run.first_step;
  tracks.last_step = run.last_step;
  tracks.posts = posts.times.size();
  for (std::size_t rank = 0; rank < run.ranks.size(); ++rank) {
    tracks.ranks.push_back(TrackMaker(run, posts, rank).Make());
  }
  return tracks;
}

}  // namespace lockstep::stalls
