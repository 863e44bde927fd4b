#include "harness/protocol/schedule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <string_view>

#include "harness/protocol/bad_input.h"

namespace lockstep::protocol {
namespace {

struct KindName {
  ActionKind kind;
  std::string_view name;
  bool of_micro_batch = true;
};
// No name begins another one.
constexpr std::array<KindName, 13> kKinds{{{ActionKind::kSendForward, "SEND_F"},
                                           {ActionKind::kReceiveForward, "RECV_F"},
                                           {ActionKind::kSendBackward, "SEND_B"},
                                           {ActionKind::kReceiveBackward, "RECV_B"},
                                           {ActionKind::kRecompute, "RECOMPUTE"},
                                           {ActionKind::kAllReduce, "REDUCE_GRAD", false},
                                           {ActionKind::kGather, "UNSHARD", false},
                                           {ActionKind::kReshard, "RESHARD", false},
                                           {ActionKind::kOptimizer, "OPTIMIZER", false},
                                           {ActionKind::kForward, "F"},
                                           {ActionKind::kBackward, "B"},
                                           {ActionKind::kInputGradient, "I"},
                                           {ActionKind::kWeightGradient, "W"}}};
constexpr std::string_view kFused = "OVERLAP_F_B";

const KindName& RowOf(ActionKind kind) {
  for (const KindName& row : kKinds) {
    if (row.kind == kind) return row;
  }
  throw std::logic_error("a kind of action without a name");
}

bool ReadNumber(std::string_view* text, std::int64_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc() || *number < 0) return false;
  text->remove_prefix(static_cast<std::size_t>(end - text->data()));
  return true;
}

std::string_view Trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// "(0F1;1B0)OVERLAP_F_B" as two actions, the first of them fused with the second.
void ParseFused(std::string_view cell, const std::string& where, std::vector<Action>* actions) {
  const auto refuse = [&] {
    throw BadInput(where, "\"" + std::string(cell) + "\" is not a fused pair",
                   "expected a forward and a backward such as (0F1;1B0)OVERLAP_F_B");
  };
  const std::size_t middle = cell.find(';'), end = cell.find(')');
  if (middle == std::string_view::npos || end == std::string_view::npos || middle > end) refuse();
  if (Trimmed(cell.substr(end + 1)) != kFused) refuse();
  Action first = ParseAction(std::string(Trimmed(cell.substr(1, middle - 1))), where);
  const Action second = ParseAction(std::string(Trimmed(cell.substr(middle + 1, end - middle - 1))), where);
  const auto is_backward = [](const Action& action) {
    return action.kind == ActionKind::kBackward || action.kind == ActionKind::kInputGradient;
  };
  const bool one_each = (first.kind == ActionKind::kForward && is_backward(second)) ||
                        (second.kind == ActionKind::kForward && is_backward(first));
  if (!one_each) refuse();
  first.with_next = true;
  actions->push_back(first);
  actions->push_back(second);
}

}  // namespace

std::vector<std::vector<std::int64_t>> PlacementOf(const Schedule& schedule) {
  if (!schedule.placement.empty() || schedule.ranks.empty()) return schedule.placement;
  std::vector<std::vector<std::int64_t>> placement(schedule.ranks.size());
  for (std::int64_t stage = 0; stage < schedule.stages; ++stage) {
    placement[static_cast<std::size_t>(stage) % placement.size()].push_back(stage);
  }
  return placement;
}

std::vector<std::int64_t> RanksOfStage(const Schedule& schedule, std::int64_t stage) {
  std::vector<std::int64_t> ranks;
  const auto placement = PlacementOf(schedule);
  for (std::size_t rank = 0; rank < placement.size(); ++rank) {
    const std::vector<std::int64_t>& held = placement[rank];
    if (std::find(held.begin(), held.end(), stage) != held.end()) ranks.push_back(static_cast<std::int64_t>(rank));
  }
  return ranks;
}

bool IsOfMicroBatch(ActionKind kind) { return RowOf(kind).of_micro_batch; }

std::string ToString(const Action& action) {
  const KindName& row = RowOf(action.kind);
  return std::to_string(action.stage) + std::string(row.name) +
         (row.of_micro_batch ? std::to_string(action.micro_batch) : "");
}

Action ParseAction(const std::string& text, const std::string& where) {
  std::string_view rest = text;
  Action action;
  if (ReadNumber(&rest, &action.stage)) {
    for (const KindName& row : kKinds) {
      if (!rest.starts_with(row.name)) continue;
      action.kind = row.kind;
      rest.remove_prefix(row.name.size());
      if (!row.of_micro_batch) action.micro_batch = kWholeStage;
      if ((!row.of_micro_batch || ReadNumber(&rest, &action.micro_batch)) && rest.empty()) return action;
      break;
    }
  }
  throw BadInput(where, "\"" + text + "\" is not an action", "expected STAGE KIND MICRO_BATCH such as 0F1 or 2SEND_B0");
}

std::string ToString(const std::vector<Action>& line) {
  std::string text;
  bool inside = false;  // of a fused pair
  for (const Action& action : line) {
    if (!text.empty()) text += inside ? ';' : ',';
    if (action.with_next && !inside) text += '(';
    text += ToString(action);
    if (inside) text += ")" + std::string(kFused);
    inside = action.with_next && !inside;
  }
  return text;
}

std::vector<Action> ParseActions(const std::string& line, const std::string& where) {
  std::vector<Action> actions;
  std::size_t begin = 0;
  while (begin < line.size()) {
    const std::size_t end = std::min(line.find(',', begin), line.size());
    const std::string_view cell = Trimmed(std::string_view(line).substr(begin, end - begin));
    if (cell.starts_with('(')) {
      ParseFused(cell, where, &actions);
    } else {
      actions.push_back(ParseAction(std::string(cell), where));
    }
    begin = end + 1;
    if (begin == line.size()) throw BadInput(where, "ends in a comma", "expected actions separated by commas");
  }
  return actions;
}

}  // namespace lockstep::protocol
