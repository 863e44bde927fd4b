#include "harness/stalls/tracks.h"

#include <algorithm>
#include <map>
#include <optional>

#include "harness/stalls/covers.h"
#include "harness/stalls/posts.h"

namespace lockstep::stalls {
namespace {

using protocol::Interval;
using protocol::Timeline;
using protocol::TimelineCollective;
using protocol::TimelineMessage;
using protocol::TimelineOp;
using protocol::TimelineSpan;

// "F" of "1F2", "REDUCE_GRAD" of "2REDUCE_GRAD".
std::string KindOf(const protocol::Action& action) {
  const std::string text = protocol::ToString(action);
  const std::size_t first = text.find_first_not_of("0123456789"), last = text.find_last_not_of("0123456789");
  return text.substr(first, last - first + 1);
}

Category CategoryOf(const std::string& span) {
  static const std::map<std::string, Category> kCategoryOf{
      {"data", Category::kData},           {"send", Category::kTransfer},  {"receive", Category::kTransfer},
      {"loss", Category::kOptimizer},      {"norm", Category::kOptimizer}, {"reduction", Category::kOptimizer},
      {"optimizer", Category::kOptimizer}, {"memory", Category::kMemory}};
  const auto found = kCategoryOf.find(span);
  return found == kCategoryOf.end() ? Category::kHost : found->second;
}

// Values of the host, or none at all: it is the meeting that counts, and not the bytes.
bool IsMeeting(const std::string& operation) { return operation.starts_with("host_") || operation == "barrier"; }

std::string LabelOf(const TimelineMessage& message) {
  const std::int64_t from = message.source_stage;
  return std::to_string(from) + (message.backward ? "B" : "F") + std::to_string(message.micro_batch);
}

// What was recorded of one step, as covers and as moments; where each came from.
class StepParts {
 public:
  struct Wait {
    const EndOfEvent* end = nullptr;
    std::int32_t transfer = -1;  // item of what follows the last post
  };
  struct Moment {
    double time = 0;
    std::int32_t post = -1;  // or a message that was there already:
    const EndOfEvent* arrived = nullptr;
    std::int32_t item = -1;
  };

  std::vector<Cover> covers;
  std::vector<Moment> moments;
  std::map<std::int32_t, Wait> waits;  // by item
  double line_began = 0, line_ended = 0;
  bool has_line = false;
};

class TrackMaker {
 public:
  TrackMaker(const Run& run, const Posts& posts, std::size_t rank)
      : run_(run), timeline_(run.ranks[rank]), posts_(posts), rank_(rank) {
    for (const auto& step : timeline_.steps) {
      if (Within(step.step)) steps_[step.step] = step.time;
    }
    for (std::size_t i = 0; i < timeline_.ops.size(); ++i) At(ops_, timeline_.ops[i].step).push_back(i);
    for (std::size_t i = 0; i < timeline_.spans.size(); ++i) At(spans_, timeline_.spans[i].step).push_back(i);
    for (std::size_t i = 0; i < timeline_.messages.size(); ++i) At(messages_, timeline_.messages[i].step).push_back(i);
    for (std::size_t i = 0; i < timeline_.collectives.size(); ++i) {
      At(collectives_, timeline_.collectives[i].step).push_back(i);
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
  using Indices = std::map<std::int64_t, std::vector<std::size_t>>;

  bool Within(std::int64_t step) const { return step >= run_.first_step && step <= run_.last_step; }
  static std::vector<std::size_t>& At(Indices& indices, std::int64_t step) { return indices[step]; }
  std::int64_t Pipeline(std::int64_t rank) const { return run_.plan.At(rank).pipeline; }

  std::int32_t Add(Item item) {
    track_.items.push_back(std::move(item));
    return static_cast<std::int32_t>(track_.items.size() - 1);
  }
  Item& ItemAt(std::int32_t item) { return track_.items[static_cast<std::size_t>(item)]; }

  void AddWork(std::int32_t index, const Interval& time, std::int64_t step) {
    Item& item = ItemAt(index);
    item.own += time.ended - time.began;
    track_.pieces.push_back({PieceKind::kWork, index, item.pieces++, -1, {}, 0, step, time});
  }

  void TakeOps(std::int64_t step, StepParts* parts) {
    for (const std::size_t i : At(ops_, step)) {
      const TimelineOp& op = timeline_.ops[i];
      const std::int32_t item = Add({.category = Category::kCompute,
                                     .like = {.name = KindOf(op.action), .stage = op.action.stage},
                                     .step = step,
                                     .micro_batch = op.action.micro_batch,
                                     .label = protocol::ToString(op.action)});
      parts->covers.push_back({{op.started, op.ended}, Layer::kOp, item});
      const double came = std::min(op.enqueued, op.started);
      parts->line_began = parts->has_line ? std::min(parts->line_began, came) : came;
      parts->line_ended = parts->has_line ? std::max(parts->line_ended, op.ended) : op.ended;
      parts->has_line = true;
    }
  }

  void TakeSpans(std::int64_t step, StepParts* parts) {
    std::map<std::string, int> seen;
    for (const std::size_t i : At(spans_, step)) {
      const TimelineSpan& span = timeline_.spans[i];
      const bool in_line =
          parts->has_line && span.time.began >= parts->line_began && span.time.began <= parts->line_ended;
      const std::string context = in_line ? "line" : std::to_string(seen[span.name]++);
      const std::int32_t item = Add({.category = CategoryOf(span.name),
                                     .like = {.name = span.name, .context = context},
                                     .step = step,
                                     .label = span.name});
      parts->covers.push_back({span.time, Layer::kSpan, item});
    }
  }

  // A wait, and what of it was transfer, are two items.
  void TakeWait(const Interval& time, Layer layer, const EndOfEvent& end, Item transfer, const std::string& label,
                StepParts* parts) {
    const bool joined = end.post >= 0;
    if (!joined) transfer.category = Category::kUnattributed;
    Item wait = transfer;
    wait.label = label;
    const std::int32_t item = Add(std::move(wait));
    parts->waits[item] = {&end, Add(std::move(transfer))};
    parts->covers.push_back({time, layer, item});
  }

  void TakeMessages(std::int64_t step, StepParts* parts) {
    for (const std::size_t i : At(messages_, step)) {
      const TimelineMessage& message = timeline_.messages[i];
      const EndOfEvent& end = posts_.messages[rank_][i];
      if (end.post >= 0) parts->moments.push_back({message.posted, end.post, nullptr, -1});
      const std::string what = LabelOf(message), peer = "rank " + std::to_string(message.peer);
      const std::string context = message.send ? "send" : message.backward ? "backward" : "forward";
      Item transfer{.category = Category::kTransfer,
                    .like = {.name = "transfer", .context = context, .peer = Pipeline(message.peer)},
                    .step = step,
                    .micro_batch = message.micro_batch,
                    .on_the_way = true,
                    .peer = message.peer,
                    .label = what + (message.send ? " to " : " from ") + peer};
      if (message.wait && message.wait->ended > message.wait->began) {
        TakeWait(*message.wait, Layer::kMessageWait, end, std::move(transfer),
                 message.send ? "wait until " + peer + " takes " + what : "wait for " + what + " from " + peer, parts);
      } else if (!message.send && end.post >= 0) {
        TakeArrived(message, end, std::move(transfer), parts);
      }
    }
  }

  // There before anybody needed it; in a replay somebody may.
  void TakeArrived(const TimelineMessage& message, const EndOfEvent& end, Item transfer, StepParts* parts) {
    for (const std::size_t i : At(ops_, message.step)) {
      const TimelineOp& op = timeline_.ops[i];
      const std::string kind = KindOf(op.action);
      const bool needs = op.action.stage == message.target_stage && op.action.micro_batch == message.micro_batch &&
                         (message.backward ? kind == "B" || kind == "I" : kind == "F");
      if (needs) return parts->moments.push_back({op.started, -1, &end, Add(std::move(transfer))});
    }
  }

  void TakeCollectives(std::int64_t step, StepParts* parts) {
    for (const std::size_t i : At(collectives_, step)) {
      const TimelineCollective& event = timeline_.collectives[i];
      const EndOfEvent& end = posts_.collectives[rank_][i];
      if (end.post >= 0) parts->moments.push_back({event.posted, end.post, nullptr, -1});
      if (!event.wait || event.wait->ended <= event.wait->began) continue;
      const bool meeting = IsMeeting(event.operation);
      const auto group = timeline_.clock.groups.find(event.group);
      const bool known = group != timeline_.clock.groups.end() && !group->second.empty();
      Item transfer{.category = meeting ? Category::kOptimizer : Category::kTransfer,
                    .like = {.name = meeting ? "meeting" : event.operation, .context = event.group},
                    .step = step,
                    .on_the_way = true,
                    .blamed = known ? group->second.front() : -1,
                    .label = event.operation + " of group " + event.group};
      const std::string label = "wait for the others at " + transfer.label;
      TakeWait(*event.wait, Layer::kCollectiveWait, end, std::move(transfer), label, parts);
    }
  }

  void MakeStep(std::int64_t step, const Interval& window) {
    StepParts parts;
    TakeOps(step, &parts);
    TakeSpans(step, &parts);
    TakeMessages(step, &parts);
    TakeCollectives(step, &parts);
    std::vector<double> cuts;
    for (StepParts::Moment& moment : parts.moments) {
      moment.time = std::clamp(moment.time, window.began, window.ended);
      cuts.push_back(moment.time);
    }
    std::stable_sort(parts.moments.begin(), parts.moments.end(),
                     [](const auto& a, const auto& b) { return a.time < b.time; });
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
      track_.pieces.push_back({PieceKind::kPost, -1, 0, moment.post, {}, 0, step, now});
    } else {
      AddWait(moment.item, *moment.arrived, now, step);
    }
  }

  void AddWait(std::int32_t item, const EndOfEvent& end, const Interval& time, std::int64_t step) {
    const double lead = std::max(0.0, posts_.Last(end.awaits, time.ended) - time.ended);
    track_.pieces.push_back({PieceKind::kWait, item, 0, -1, end.awaits, lead, step, time});
  }

  void Emit(const Stretch& stretch, std::int64_t step, const StepParts& parts, bool last) {
    if (stretch.item < 0) {
      if (gap_ < 0) OpenGap(stretch.time.began, step, parts);
      return AddWork(gap_, stretch.time, step);
    }
    CloseGap(ItemAt(stretch.item).like.name);
    previous_ = stretch.item;
    const auto wait = parts.waits.find(stretch.item);
    if (wait == parts.waits.end()) return AddWork(stretch.item, stretch.time, step);
    if (!last) {  // an operation of the device came in between: it had been launched too late
      OpenGap(stretch.time.began, step, parts);
      return AddWork(gap_, stretch.time, step);
    }
    const EndOfEvent& end = *wait->second.end;
    const double there =
        std::clamp(posts_.Last(end.awaits, stretch.time.began), stretch.time.began, stretch.time.ended);
    if (!end.awaits.empty()) AddWait(stretch.item, end, {stretch.time.began, there}, step);
    if (stretch.time.ended > there) AddWork(wait->second.transfer, {there, stretch.time.ended}, step);
  }

  // What lies beside an operation of the line is launching. Elsewhere nobody has said what it was.
  void OpenGap(double began, std::int64_t step, const StepParts& parts) {
    const std::string before = previous_ < 0 ? "begin" : ItemAt(previous_).like.name;
    const bool after_op = previous_ >= 0 && (ItemAt(previous_).category == Category::kCompute || before == "send");
    const bool in_line = parts.has_line && began >= parts.line_began && (began <= parts.line_ended || after_op);
    gap_ = Add({.category = in_line ? Category::kHost : Category::kUnattributed,
                .like = {.name = in_line ? "host" : "other", .context = before},
                .step = step,
                .label = in_line ? "host" : "not told"});
  }
  void CloseGap(const std::string& next) {
    if (gap_ >= 0) ItemAt(gap_).like.context += ">" + next;
    gap_ = -1;
  }

  const Run& run_;
  const Timeline& timeline_;
  const Posts& posts_;
  std::size_t rank_;
  std::map<std::int64_t, Interval> steps_;
  Indices ops_, spans_, messages_, collectives_;
  Track track_;
  std::int32_t gap_ = -1, previous_ = -1;
};

}  // namespace

Tracks MakeTracks(const Run& run) {
  const Posts posts = NumberPosts(run);
  Tracks tracks;
  tracks.first_step = run.first_step;
  tracks.last_step = run.last_step;
  tracks.posts = posts.times.size();
  for (std::size_t rank = 0; rank < run.ranks.size(); ++rank)
    tracks.ranks.push_back(TrackMaker(run, posts, rank).Make());
  return tracks;
}

}  // namespace lockstep::stalls
