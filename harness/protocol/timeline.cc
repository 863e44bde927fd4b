#include "harness/protocol/timeline.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <limits>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;

const std::vector<std::string> kOperations{"all_reduce", "all_gather", "reduce_scatter", "broadcast",
                                           "barrier",    "host_sum",   "host_max",       "host_gather"};

// --- Reading.

double Time(Fields& fields, const std::string& key) {
  const double seconds = fields.Number(key);
  if (!std::isfinite(seconds)) fields.Refuse(key, "is " + NumberToJson(seconds).dump(), "expected seconds");
  return seconds;
}

double Time(Fields& fields, const std::string& key, double otherwise) {
  return fields.Has(key) ? Time(fields, key) : otherwise;
}

Interval IntervalFrom(Fields& fields, const std::string& began, const std::string& ended) {
  const Interval interval{Time(fields, began), Time(fields, ended)};
  if (interval.ended < interval.began)
    fields.Refuse(ended, "is before " + began, "expected the end after the beginning");
  return interval;
}

std::optional<Interval> WaitFrom(Fields& fields) {
  if (fields.Has("wait_began") != fields.Has("wait_ended")) {
    fields.Refuse("wait_began", "and wait_ended don't go together", "expected both, or neither");
  }
  if (!fields.Has("wait_began")) return std::nullopt;
  return IntervalFrom(fields, "wait_began", "wait_ended");
}

std::string OneOf(Fields& fields, const std::string& key, const std::vector<std::string>& choices) {
  fields.Raw(key);  // required
  return fields.Choice(key, choices, "");
}

TimelineClock ClockFrom(Fields& fields) {
  TimelineClock clock;
  clock.rank = fields.Int("rank", 0, kMax);
  clock.offset_seconds = Time(fields, "offset_seconds");
  clock.uncertainty_seconds = Time(fields, "uncertainty_seconds");
  clock.unix_seconds = Time(fields, "unix_seconds");
  clock.first_step = fields.Int("first_step", 0, kMax);
  clock.last_step = fields.Int("last_step", 0, kMax);
  Fields groups = fields.Object("groups");
  for (const auto& [name, members] : fields.Raw("groups").items()) clock.groups[name] = groups.Ints(name);
  return clock;
}

TimelineOp OpFrom(Fields& fields) {
  TimelineOp op;
  op.step = fields.Int("step", 1, kMax);
  op.position = fields.Int("position", 0, kMax);
  op.action = ParseAction(fields.String("action"), fields.Path("action"));
  const Interval time = IntervalFrom(fields, "started", "ended");
  op.started = time.began;
  op.ended = time.ended;
  op.enqueued = Time(fields, "enqueued", op.started);
  op.ready = Time(fields, "ready", op.started);
  op.memory = fields.Int("memory", 0, kMax, -1);
  op.activations = fields.Int("activations", 0, kMax, -1);
  return op;
}

TimelineMessage MessageFrom(Fields& fields) {
  TimelineMessage message;
  message.step = fields.Int("step", 1, kMax);
  message.send = OneOf(fields, "side", {"send", "receive"}) == "send";
  message.backward = OneOf(fields, "direction", {"forward", "backward"}) == "backward";
  message.peer = fields.Int("peer", 0, kMax);
  message.source_stage = fields.Int("source_stage", 0, kMax);
  message.target_stage = fields.Int("target_stage", 0, kMax);
  message.micro_batch = fields.Int("micro_batch", 0, kMax);
  message.bytes = fields.Int("bytes", 0, kMax, 0);
  const Interval time = IntervalFrom(fields, "posted", "ended");
  message.posted = time.began;
  message.ended = time.ended;
  message.wait = WaitFrom(fields);
  return message;
}

TimelineCollective CollectiveFrom(Fields& fields) {
  TimelineCollective collective;
  collective.step = fields.Int("step", 1, kMax);
  collective.group = fields.String("group");
  collective.number = fields.Int("number", 0, kMax);
  collective.operation = OneOf(fields, "operation", kOperations);
  collective.bytes = fields.Int("bytes", 0, kMax, 0);
  const Interval time = IntervalFrom(fields, "posted", "ended");
  collective.posted = time.began;
  collective.ended = time.ended;
  collective.wait = WaitFrom(fields);
  return collective;
}

void AddLine(Fields& fields, bool first, Timeline& timeline) {
  const std::string kind = fields.String("event");
  if (first != (kind == "clock")) {
    fields.Refuse("event", "is '" + kind + "'",
                  first ? "expected the first line to be the clock" : "one clock is enough");
  }
  if (kind == "clock") {
    timeline.clock = ClockFrom(fields);
  } else if (kind == "step") {
    timeline.steps.push_back({fields.Int("step", 1, kMax), IntervalFrom(fields, "began", "ended")});
  } else if (kind == "op") {
    timeline.ops.push_back(OpFrom(fields));
  } else if (kind == "message") {
    timeline.messages.push_back(MessageFrom(fields));
  } else if (kind == "collective") {
    timeline.collectives.push_back(CollectiveFrom(fields));
  } else if (kind == "span") {
    const std::int64_t step = fields.Int("step", 1, kMax);
    timeline.spans.push_back({step, fields.String("name"), IntervalFrom(fields, "began", "ended")});
  } else {
    return;  // the trainer's own
  }
  fields.Done();
}

// --- Writing. By hand: a rank leaves tens of thousands of lines. `{}` of a double is the shortest text that gives it
// back.

template <typename... Values>
void Put(std::string& text, fmt::format_string<Values...> format, Values&&... values) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Values>(values)...);
}

void PutWait(std::string& text, const std::optional<Interval>& wait) {
  if (wait) Put(text, R"(, "wait_began": {}, "wait_ended": {})", wait->began, wait->ended);
  text += "}\n";
}

void PutOp(std::string& text, const TimelineOp& op) {
  Put(text, R"({{"event": "op", "step": {}, "position": {}, "action": "{}", "enqueued": {}, "ready": {}, )", op.step,
      op.position, ToString(op.action), op.enqueued, op.ready);
  Put(text, R"("started": {}, "ended": {})", op.started, op.ended);
  if (op.memory >= 0) Put(text, R"(, "memory": {})", op.memory);
  if (op.activations >= 0) Put(text, R"(, "activations": {})", op.activations);
  text += "}\n";
}

void PutMessage(std::string& text, const TimelineMessage& message) {
  Put(text, R"({{"event": "message", "step": {}, "side": "{}", "peer": {}, "source_stage": {}, "target_stage": {}, )",
      message.step, message.send ? "send" : "receive", message.peer, message.source_stage, message.target_stage);
  Put(text, R"("micro_batch": {}, "direction": "{}", "bytes": {}, "posted": {}, "ended": {})", message.micro_batch,
      message.backward ? "backward" : "forward", message.bytes, message.posted, message.ended);
  PutWait(text, message.wait);
}

void PutCollective(std::string& text, const TimelineCollective& collective) {
  Put(text, R"({{"event": "collective", "step": {}, "group": {}, "number": {}, "operation": "{}", )", collective.step,
      nlohmann::json(collective.group).dump(), collective.number, collective.operation);
  Put(text, R"("bytes": {}, "posted": {}, "ended": {})", collective.bytes, collective.posted, collective.ended);
  PutWait(text, collective.wait);
}

}  // namespace

Timeline TimelineFromText(const std::string& text, const std::string& where) {
  if (text.empty() || text.back() != '\n') throw BadInput(where, "ends within a line", "expected whole lines");
  Timeline timeline;
  std::size_t begin = 0;
  for (std::int64_t number = 1; begin < text.size(); ++number) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = where + ":" + std::to_string(number);
    const nlohmann::json value = ParseJson(text.substr(begin, end - begin), line);
    Fields fields(value, line);
    AddLine(fields, number == 1, timeline);
    begin = end + 1;
  }
  return timeline;
}

Timeline ReadTimeline(const std::filesystem::path& file) {
  return TimelineFromText(ReadTextFile(file, kMaxBytes), file.string());
}

std::string TimelineToText(const Timeline& timeline) {
  const TimelineClock& clock = timeline.clock;
  const nlohmann::json first{{"event", "clock"},
                             {"rank", clock.rank},
                             {"offset_seconds", clock.offset_seconds},
                             {"uncertainty_seconds", clock.uncertainty_seconds},
                             {"unix_seconds", clock.unix_seconds},
                             {"first_step", clock.first_step},
                             {"last_step", clock.last_step},
                             {"groups", clock.groups}};
  std::string text = first.dump() + "\n";
  for (const TimelineStep& step : timeline.steps) {
    Put(text, R"({{"event": "step", "step": {}, "began": {}, "ended": {}}})", step.step, step.time.began,
        step.time.ended);
    text += '\n';
  }
  for (const TimelineOp& op : timeline.ops) PutOp(text, op);
  for (const TimelineMessage& message : timeline.messages) PutMessage(text, message);
  for (const TimelineCollective& collective : timeline.collectives) PutCollective(text, collective);
  for (const TimelineSpan& span : timeline.spans) {
    Put(text, R"({{"event": "span", "step": {}, "name": {}, "began": {}, "ended": {}}})", span.step,
        nlohmann::json(span.name).dump(), span.time.began, span.time.ended);
    text += '\n';
  }
  return text;
}

void WriteTimeline(const std::filesystem::path& file, const Timeline& timeline) {
  WriteFileWhole(file, TimelineToText(timeline), Durability::kRenamed);
}

}  // namespace lockstep::protocol
