#include "harness/stalls/trace/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "harness/protocol/bad_input.h"
#include "harness/stalls/trace/chrome_writer.h"

namespace lockstep::stalls {
namespace {

using nlohmann::json;
using protocol::Action;
using protocol::ActionKind;
using protocol::Interval;

constexpr double kLongest = 1e9;  // seconds between a file's first and last event; nanoseconds then fit in 63 bits

// Spans of the host beside its device; all others are of the compute stream.
const std::set<std::string> kHostSpans{"data", "send", "receive", "memory", "host"};

// The first and the last moment of anything in the run.
class Extent {
 public:
  explicit Extent(const Run& run) {
    for (const protocol::Timeline& rank : run.ranks) {
      for (const auto& step : rank.steps) Take(step.time);
      for (const auto& op : rank.ops) Take({op.started, op.ended});
      for (const auto& span : rank.spans) Take(span.time);
      for (const auto& message : rank.messages) TakeEvent(message);
      for (const auto& collective : rank.collectives) TakeEvent(collective);
    }
    if (last_ - first_ <= kLongest) return;
    throw protocol::BadInput(run.name, fmt::format("events lie {:g} seconds apart", last_ - first_),
                             "expected the times of one run");
  }
  double first() const { return std::isfinite(first_) ? first_ : 0; }

 private:
  void Take(const Interval& time) {
    first_ = std::min(first_, time.began);
    last_ = std::max(last_, time.ended);
  }
  template <typename Event>
  void TakeEvent(const Event& event) {
    Take({event.posted, event.ended});
    if (event.wait) Take(*event.wait);
  }
  double first_ = std::numeric_limits<double>::infinity(), last_ = -std::numeric_limits<double>::infinity();
};

std::string EdgeName(const protocol::TimelineMessage& message) {
  const ActionKind kind = message.backward ? (message.send ? ActionKind::kSendBackward : ActionKind::kReceiveBackward)
                                           : (message.send ? ActionKind::kSendForward : ActionKind::kReceiveForward);
  return ToString(Action{message.send ? message.source_stage : message.target_stage, kind, message.micro_batch});
}

std::string NameOf(const protocol::TimelineCollective& collective) {
  return collective.operation + " " + collective.group;
}

// What the slices of one rank become.
class RankTrace {
 public:
  RankTrace(const Run& run, std::size_t rank, double first) : run_(run), timeline_(run.ranks[rank]), first_(first) {}

  std::vector<ChromeSlice> Time(const std::vector<Slice>& attributed) const {
    std::vector<ChromeSlice> slices;
    for (const auto& step : timeline_.steps) {
      if (!Within(step)) continue;
      slices.push_back(At(step.time, "step " + std::to_string(step.step), "step", {{"step", step.step}}));
    }
    for (const Slice& slice : attributed) {
      const std::string category(NameOf(slice.category));
      std::string name = slice.name;
      json arguments{{"step", slice.step}, {"category", category}};
      if (IsIdle(slice.category)) {
        name = category;
        if (!slice.charges.empty()) name += ": " + ToString(slice.charges.front().cause);
        arguments["in"] = slice.name;
      }
      for (const Charge& charge : slice.charges) {
        arguments["charged"].push_back({{"to", ToString(charge.cause)}, {"milliseconds", charge.seconds * 1e3}});
      }
      slices.push_back(At(slice.time, name, category, std::move(arguments)));
    }
    return slices;
  }

  std::vector<ChromeSlice> Compute() const {
    std::vector<ChromeSlice> slices;
    for (const auto& op : timeline_.ops) {
      if (!Within(op)) continue;
      json arguments{{"step", op.step},
                     {"position", op.position},
                     {"stage", op.action.stage},
                     {"micro_batch", op.action.micro_batch},
                     {"waited_ms", std::max(0.0, op.ready - op.enqueued) * 1e3}};
      slices.push_back(At({op.started, op.ended}, ToString(op.action), "op", std::move(arguments)));
    }
    AddSpans(false, slices);
    return slices;
  }

  std::vector<ChromeSlice> Host() const {
    std::vector<ChromeSlice> slices;
    AddSpans(true, slices);
    const auto add_wait = [&](const auto& event, const std::string& name) {
      if (event.wait && Within(event))
        slices.push_back(At(*event.wait, "wait: " + name, "wait", {{"step", event.step}}));
    };
    for (const auto& message : timeline_.messages) add_wait(message, EdgeName(message));
    for (const auto& collective : timeline_.collectives) add_wait(collective, NameOf(collective));
    return slices;
  }

  // Messages, then collectives; `numbers`: which of them each slice is, counted so.
  std::vector<ChromeSlice> Communication(std::vector<std::size_t>& numbers) const {
    std::vector<ChromeSlice> slices;
    std::size_t number = 0;
    const auto add = [&](const auto& event, const std::string& name, const char* category, json&& arguments) {
      if (Within(event)) {
        slices.push_back(At({event.posted, event.ended}, name, category, std::move(arguments)));
        slices.back().ended = std::max(slices.back().ended, slices.back().began + 1);  // room for a flow
        numbers.push_back(number);
      }
      ++number;
    };
    for (const auto& message : timeline_.messages) {
      add(message, EdgeName(message), "message",
          {{"step", message.step},
           {"peer", message.peer},
           {"source_stage", message.source_stage},
           {"target_stage", message.target_stage},
           {"micro_batch", message.micro_batch},
           {"bytes", message.bytes}});
    }
    for (const auto& collective : timeline_.collectives) {
      add(collective, NameOf(collective), "collective",
          {{"step", collective.step},
           {"group", collective.group},
           {"number", collective.number},
           {"bytes", collective.bytes}});
    }
    return slices;
  }

  template <typename Event>
  bool Within(const Event& event) const {
    return event.step >= run_.first_step && event.step <= run_.last_step;
  }
  std::int64_t Nanoseconds(double seconds) const { return std::llround((seconds - first_) * 1e9); }

 private:
  ChromeSlice At(const Interval& time, const std::string& name, const std::string& category, json arguments) const {
    const std::int64_t began = Nanoseconds(time.began);
    return {began, std::max(began, Nanoseconds(time.ended)), name, category, std::move(arguments)};
  }

  void AddSpans(bool host, std::vector<ChromeSlice>& slices) const {
    for (const auto& span : timeline_.spans) {
      if (kHostSpans.contains(span.name) != host || !Within(span)) continue;
      slices.push_back(At(span.time, span.name, "span", {{"step", span.step}}));
    }
  }

  const Run& run_;
  const protocol::Timeline& timeline_;
  double first_;
};

class Export {
 public:
  Export(const Run& run, const Attribution& attribution)
      : run_(run), attribution_(attribution), first_(Extent(run).first()) {}

  TraceWritten To(const std::filesystem::path& file) {
    for (std::size_t rank = 0; rank < run_.ranks.size(); ++rank) AddRank(rank);
    AddMessageFlows();
    AddCollectiveFlows();
    json about{{"run", run_.name},
               {"plan", ToString(run_.plan)},
               {"schedule", run_.schedule.name},
               {"made by", "lockstep " LOCKSTEP_VERSION},
               {"flows_left_out", written_.flows_left_out}};
    if (!run_.ranks.empty()) about["unix_seconds_at_0"] = run_.ranks[0].clock.unix_seconds + first_;
    writer_.Write(file, about);
    return written_;
  }

 private:
  void AddRank(std::size_t rank) {
    const auto process = static_cast<std::int64_t>(rank);
    const protocol::Coordinates at = run_.plan.At(process);
    std::string where;
    const auto add = [&](const char* axis, std::int64_t degree, std::int64_t index) {
      if (degree > 1) where += (where.empty() ? "" : " ") + std::string(axis) + " " + std::to_string(index);
    };
    add("dp", run_.plan.data, at.data);
    add("pp", run_.plan.pipeline, at.pipeline);
    add("tp", run_.plan.tensor, at.tensor);
    writer_.AddProcess(process, "rank " + std::to_string(rank), where);
    const RankTrace trace(run_, rank, first_);
    AddRow(process, "time", Overlap::kNests, trace.Time(attribution_.slices.at(rank)));
    AddRow(process, "compute", Overlap::kNests, trace.Compute());
    AddRow(process, "host", Overlap::kNests, trace.Host());
    std::vector<std::size_t> numbers;
    const auto places = AddRow(process, "communication", Overlap::kNextRow, trace.Communication(numbers));
    const protocol::Timeline& timeline = run_.ranks[rank];
    auto& communication = communication_.emplace_back(timeline.messages.size() + timeline.collectives.size());
    for (std::size_t i = 0; i < places.size(); ++i) communication[numbers[i]] = places[i];
    for (const auto& op : timeline.ops) {
      if (trace.Within(op)) AddCounters(process, op, trace.Nanoseconds(op.ended));
    }
  }

  void AddCounters(std::int64_t process, const protocol::TimelineOp& op, std::int64_t at) {
    const auto add = [&](const char* name, std::int64_t bytes) {
      if (bytes < 0) return;
      writer_.AddCounter(process, name, "bytes", at, bytes);
      ++written_.counters;
    };
    add("memory", op.memory);
    add("activations", op.activations);
  }

  std::vector<ChromePlace> AddRow(std::int64_t process, const std::string& name, Overlap overlap,
                                  const std::vector<ChromeSlice>& slices) {
    written_.slices += static_cast<std::int64_t>(slices.size());
    return writer_.AddRow(process, name, overlap, slices);
  }

  void Tie(const std::string& name, const char* category, const ChromePlace& from, const ChromePlace& to) {
    (writer_.AddFlow(name, category, from, to) ? written_.flows : written_.flows_left_out) += 1;
  }

  void AddMessageFlows() {
    for (const Message& message : run_.messages) {
      const auto sender = static_cast<std::size_t>(message.sender),
                 receiver = static_cast<std::size_t>(message.receiver);
      Tie(message.backward ? "gradient" : "activation", "message", communication_.at(sender).at(message.send_index),
          communication_.at(receiver).at(message.receive_index));
    }
  }

  const ChromePlace& PlaceOf(const Arrival& arrival) const {
    const auto rank = static_cast<std::size_t>(arrival.rank);
    return communication_.at(rank).at(run_.ranks.at(rank).messages.size() + arrival.index);
  }

  void AddCollectiveFlows() {
    for (const Collective& collective : run_.collectives) {
      const Arrival& last = collective.members.at(collective.last);
      for (const Arrival& member : collective.members) {
        if (member.rank == last.rank) continue;
        Tie("last to arrive", "collective", PlaceOf(last), PlaceOf(member));
      }
    }
  }

  const Run& run_;
  const Attribution& attribution_;
  double first_;
  ChromeWriter writer_;
  TraceWritten written_;
  std::vector<std::vector<ChromePlace>> communication_;  // by rank: messages, then collectives
};

}  // namespace

TraceWritten WriteChromeTrace(const std::filesystem::path& file, const Run& run, const Attribution& attribution) {
  return Export(run, attribution).To(file);
}

}  // namespace lockstep::stalls
