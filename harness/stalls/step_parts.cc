#include "harness/stalls/step_parts.h"

#include <algorithm>
#include <limits>

namespace lockstep::stalls {
namespace {

using protocol::Interval;
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

template <typename Event>
std::map<std::int64_t, std::vector<std::size_t>> BySteps(const std::vector<Event>& events) {
  std::map<std::int64_t, std::vector<std::size_t>> indices;
  for (std::size_t i = 0; i < events.size(); ++i) indices[events[i].step].push_back(i);
  return indices;
}

std::int32_t Add(Item item, std::vector<Item>* items) {
  items->push_back(std::move(item));
  return static_cast<std::int32_t>(items->size() - 1);
}

// A wait is three items: for the others, on its way, and taking what had arrived.
struct Ends {
  double posted = 0, ended = 0;
};
void TakeWait(const Interval& time, const Ends& ends, Layer layer, const EndOfEvent& end, Item transfer,
              const std::string& label, std::vector<Item>* items, StepParts* parts) {
  if (end.post < 0) transfer.category = Category::kUnattributed;
  Item wait = transfer, taking = transfer;
  wait.label = label;
  taking.like.context += ", taking";
  const std::int32_t item = Add(std::move(wait), items);
  const std::int32_t way = Add(std::move(transfer), items);
  parts->waits[item] = {&end, way, Add(std::move(taking), items), std::clamp(ends.ended, time.began, time.ended),
                        ends.posted};
  parts->covers.push_back({time, layer, item});
}

}  // namespace

RankParts::RankParts(const Run& run, const Posts& posts, std::size_t rank)
    : run_(run),
      timeline_(run.ranks[rank]),
      posts_(posts),
      rank_(rank),
      ops_(BySteps(timeline_.ops)),
      spans_(BySteps(timeline_.spans)),
      messages_(BySteps(timeline_.messages)),
      collectives_(BySteps(timeline_.collectives)) {}

const std::vector<std::size_t>& RankParts::In(const Indices& indices, std::int64_t step) const {
  const auto found = indices.find(step);
  return found == indices.end() ? none_ : found->second;
}

StepParts RankParts::Of(std::int64_t step, std::vector<Item>* items) const {
  StepParts parts;
  TakeOps(step, items, &parts);
  TakeSpans(step, items, &parts);
  TakeMessages(step, items, &parts);
  TakeCollectives(step, items, &parts);
  return parts;
}

void RankParts::TakeOps(std::int64_t step, std::vector<Item>* items, StepParts* parts) const {
  for (const std::size_t i : In(ops_, step)) {
    const TimelineOp& op = timeline_.ops[i];
    const std::int32_t item = Add({.category = Category::kCompute,
                                   .like = {.name = KindOf(op.action), .stage = op.action.stage},
                                   .step = step,
                                   .micro_batch = op.action.micro_batch,
                                   .label = protocol::ToString(op.action)},
                                  items);
    parts->covers.push_back({{op.started, op.ended}, Layer::kOp, item});
    const double came = std::min(op.enqueued, op.started);
    parts->line_began = parts->has_line ? std::min(parts->line_began, came) : came;
    parts->line_ended = parts->has_line ? std::max(parts->line_ended, op.ended) : op.ended;
    parts->has_line = true;
  }
}

void RankParts::TakeSpans(std::int64_t step, std::vector<Item>* items, StepParts* parts) const {
  std::map<std::string, int> seen;
  for (const std::size_t i : In(spans_, step)) {
    const TimelineSpan& span = timeline_.spans[i];
    const bool in_line =
        parts->has_line && span.time.began >= parts->line_began && span.time.began <= parts->line_ended;
    const std::string context = in_line ? "line" : std::to_string(seen[span.name]++);
    const std::int32_t item = Add({.category = CategoryOf(span.name),
                                   .like = {.name = span.name, .context = context},
                                   .step = step,
                                   .label = span.name},
                                  items);
    parts->covers.push_back({span.time, Layer::kSpan, item});
  }
}

const TimelineOp* RankParts::NeederOf(const TimelineMessage& message) const {
  for (const std::size_t i : In(ops_, message.step)) {
    const TimelineOp& op = timeline_.ops[i];
    if (op.action.stage != message.target_stage || op.action.micro_batch != message.micro_batch) continue;
    const std::string kind = KindOf(op.action);
    if (message.backward ? kind == "B" || kind == "I" : kind == "F") return &op;
  }
  return nullptr;
}

void RankParts::TakeMessages(std::int64_t step, std::vector<Item>* items, StepParts* parts) const {
  for (const std::size_t i : In(messages_, step)) {
    const TimelineMessage& message = timeline_.messages[i];
    const EndOfEvent& end = posts_.messages[rank_][i];
    if (end.post >= 0) parts->moments.push_back({message.posted, end.post});
    const std::string what = LabelOf(message), peer = "rank " + std::to_string(message.peer);
    const std::string context = message.send ? "send" : message.backward ? "backward" : "forward";
    Item transfer{.category = Category::kTransfer,
                  .like = {.name = message.send ? "sending" : "transfer",
                           .context = context,
                           .peer = run_.plan.At(message.peer).pipeline},
                  .step = step,
                  .micro_batch = message.micro_batch,
                  .on_the_way = true,
                  .peer = message.peer,
                  .label = what + (message.send ? " to " : " from ") + peer};
    if (message.wait && message.wait->ended > message.wait->began) {
      const std::string label =
          message.send ? "wait until " + peer + " takes " + what : "wait for " + what + " from " + peer;
      TakeWait(*message.wait, {message.posted, message.ended}, Layer::kMessageWait, end, std::move(transfer), label,
               items, parts);
    } else if (const TimelineOp* needer = NeederOf(message); !message.send && end.post >= 0 && needer != nullptr) {
      const std::int32_t way = Add(std::move(transfer), items);
      parts->moments.push_back({needer->started, -1, {&end, way, -1, message.ended, message.posted}});
    }
  }
}

void RankParts::TakeCollectives(std::int64_t step, std::vector<Item>* items, StepParts* parts) const {
  for (const std::size_t i : In(collectives_, step)) {
    const TimelineCollective& event = timeline_.collectives[i];
    const EndOfEvent& end = posts_.collectives[rank_][i];
    if (end.post >= 0) parts->moments.push_back({event.posted, end.post});
    if (!event.wait || event.wait->ended <= event.wait->began) continue;
    const bool meeting = IsMeeting(event.operation);
    const auto group = timeline_.clock.groups.find(event.group);
    const bool known = group != timeline_.clock.groups.end() && !group->second.empty();
    Item transfer{.category = meeting ? Category::kOptimizer : Category::kTransfer,
                  .like = {.name = (meeting ? std::string("meeting") : event.operation) + " of " + event.group},
                  .step = step,
                  .on_the_way = true,
                  .blamed = known ? group->second.front() : -1,
                  .label = event.operation + " of group " + event.group};
    const std::string label = "wait for the others at " + transfer.label;
    TakeWait(*event.wait, {-std::numeric_limits<double>::infinity(), event.ended}, Layer::kCollectiveWait, end,
             std::move(transfer), label, items, parts);
  }
}

}  // namespace lockstep::stalls
