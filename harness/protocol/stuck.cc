#include "harness/protocol/stuck.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "harness/protocol/files.h"

namespace lockstep::protocol {

std::string_view NameOf(StuckKind kind) { return kStuckKinds[static_cast<std::size_t>(kind)]; }

nlohmann::json StuckToJson(const Stuck& stuck) {
  nlohmann::json value{{"kind", NameOf(stuck.kind)},
                       {"rank", stuck.rank},
                       {"seconds", NumberToJson(stuck.seconds)},
                       {"words", stuck.words}};
  const auto add = [&](const char* key, std::int64_t number) {
    if (number >= 0) value[key] = number;
  };
  add("peer", stuck.peer);
  add("actual", stuck.actual);
  add("step", stuck.step);
  add("position", stuck.position);
  add("stage", stuck.stage);
  add("micro_batch", stuck.micro_batch);
  add("number", stuck.number);
  if (!stuck.group.empty()) value["group"] = stuck.group;
  if (!stuck.cycle.empty()) value["cycle"] = stuck.cycle;
  return value;
}

Stuck StuckFromFields(Fields fields) {
  Stuck stuck;
  fields.Raw("kind");  // required
  const std::string kind = fields.Choice("kind", {kStuckKinds.begin(), kStuckKinds.end()}, "");
  stuck.kind = static_cast<StuckKind>(std::find(kStuckKinds.begin(), kStuckKinds.end(), kind) - kStuckKinds.begin());
  const auto number = [&](const char* key) { return fields.Int(key, -1, INT64_MAX, -1); };
  stuck.rank = number("rank");
  stuck.peer = number("peer");
  stuck.actual = number("actual");
  stuck.step = number("step");
  stuck.position = number("position");
  stuck.stage = number("stage");
  stuck.micro_batch = number("micro_batch");
  stuck.number = number("number");
  stuck.group = fields.String("group", "");
  if (fields.Has("cycle")) stuck.cycle = fields.Ints("cycle");
  stuck.seconds = fields.Number("seconds");
  stuck.words = fields.String("words");
  return stuck;
}

std::optional<StuckKind> KindInWords(const std::string& words) {
  for (const StuckKind kind : {StuckKind::kLinkCrossed, StuckKind::kLinkMissing, StuckKind::kMemberMissing,
                               StuckKind::kOutOfOrder, StuckKind::kMismatch}) {
    if (words.find(": " + std::string(NameOf(kind)) + ": ") != std::string::npos) return kind;
  }
  return std::nullopt;
}

ExpectedMessage ExpectedInWords(const std::string& words) {
  static const std::regex message(": expected [^,]*, micro-batch ([0-9]{1,9}), stage [0-9]{1,9} to ([0-9]{1,9})[, ]");
  static const std::regex sender(" from (?:member [0-9]+ \\()?rank ([0-9]{1,9}) of the world");
  ExpectedMessage expected;
  std::smatch match;
  if (!std::regex_search(words, match, message)) return expected;
  expected.micro_batch = std::stoll(match[1]);
  expected.stage = std::stoll(match[2]);
  const std::string before = match.prefix();
  if (std::regex_search(before, match, sender)) expected.peer = std::stoll(match[1]);
  return expected;
}

}  // namespace lockstep::protocol
