#include "harness/protocol/schedule.h"

#include <array>
#include <charconv>
#include <string_view>

#include "harness/protocol/bad_input.h"

namespace lockstep::protocol {
namespace {

struct KindName {
  ActionKind kind;
  std::string_view name;
};
// Longer names first: "SEND_F" before "F" when a text is read.
constexpr std::array<KindName, 8> kKinds{{{ActionKind::kSendForward, "SEND_F"},
                                          {ActionKind::kReceiveForward, "RECV_F"},
                                          {ActionKind::kSendBackward, "SEND_B"},
                                          {ActionKind::kReceiveBackward, "RECV_B"},
                                          {ActionKind::kForward, "F"},
                                          {ActionKind::kBackward, "B"},
                                          {ActionKind::kInputGradient, "I"},
                                          {ActionKind::kWeightGradient, "W"}}};

bool ReadNumber(std::string_view* text, std::int64_t* number) {
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
  if (error != std::errc() || *number < 0) return false;
  text->remove_prefix(static_cast<std::size_t>(end - text->data()));
  return true;
}

}  // namespace

std::string ToString(const Action& action) {
  for (const KindName& row : kKinds) {
    if (row.kind == action.kind) {
      return std::to_string(action.stage) + std::string(row.name) + std::to_string(action.micro_batch);
    }
  }
  return "?";
}

Action ParseAction(const std::string& text, const std::string& where) {
  std::string_view rest = text;
  Action action;
  if (ReadNumber(&rest, &action.stage)) {
    for (const KindName& row : kKinds) {
      if (!rest.starts_with(row.name)) continue;
      action.kind = row.kind;
      rest.remove_prefix(row.name.size());
      if (ReadNumber(&rest, &action.micro_batch) && rest.empty()) return action;
      break;
    }
  }
  throw BadInput(where, "\"" + text + "\" is not an action", "expected STAGE KIND MICRO_BATCH such as 0F1 or 2SEND_B0");
}

std::string ToString(const std::vector<Action>& line) {
  std::string text;
  for (const Action& action : line) text += (text.empty() ? "" : ",") + ToString(action);
  return text;
}

std::vector<Action> ParseActions(const std::string& line, const std::string& where) {
  std::vector<Action> actions;
  std::size_t begin = 0;
  while (begin < line.size()) {
    std::size_t end = line.find(',', begin);
    if (end == std::string::npos) end = line.size();
    const std::size_t first = line.find_first_not_of(' ', begin);
    std::string text = first < end ? line.substr(first, end - first) : "";
    while (!text.empty() && text.back() == ' ') text.pop_back();
    actions.push_back(ParseAction(text, where));
    begin = end + 1;
    if (begin == line.size()) throw BadInput(where, "ends in a comma", "expected actions separated by commas");
  }
  return actions;
}

}  // namespace lockstep::protocol
