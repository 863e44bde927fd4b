#include "harness/schedule/header.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/plan.h"

namespace lockstep::schedule {
namespace {

using protocol::BadInput;

constexpr std::int64_t kMostRanks = protocol::kMaxRanks;
constexpr std::int64_t kMostStages = std::int64_t{1} << 20;
constexpr std::int64_t kMostMicroBatches = std::int64_t{1} << 30;
constexpr std::int64_t kMostOfName = 256;  // bytes
constexpr std::int64_t kMostBytes = 1'000'000'000'000;

std::optional<std::int64_t> ToNumber(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string Strip(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

// Numbers separated by blanks or commas; nothing where a word is no number.
std::optional<std::vector<std::int64_t>> ToNumbers(const std::string& text, const char* separators) {
  std::vector<std::int64_t> numbers;
  for (std::size_t at = text.find_first_not_of(separators); at != std::string::npos;) {
    const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
    const auto number = ToNumber(std::string_view(text).substr(at, end - at));
    if (!number) return std::nullopt;
    numbers.push_back(*number);
    at = text.find_first_not_of(separators, end);
  }
  return numbers;
}

std::vector<std::string> Keys() {
  std::vector<std::string> keys{"name", "ranks", "chunks", "micro_batches", "placement", "channels"};
  for (const CostField& field : CostFields()) keys.push_back(field.name);
  return keys;
}

std::vector<std::vector<std::int64_t>> ParsePlacement(const std::string& text, std::size_t ranks,
                                                      const std::string& where) {
  std::vector<std::vector<std::int64_t>> placement;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    auto stages = ToNumbers(text.substr(at, end - at), " \t");
    if (!stages) throw BadInput(where, "is \"" + text + "\"", "expected each rank's stages: 0 3, 1 2");
    placement.push_back(std::move(*stages));
    at = end + 1;
  }
  if (placement.size() != ranks) {
    throw BadInput(where, "is of " + std::to_string(placement.size()) + " ranks", "expected " + std::to_string(ranks));
  }
  return placement;
}

// The stages that a placement speaks of: 0 to the largest, each on at least one rank.
std::int64_t StagesOf(const std::vector<std::vector<std::int64_t>>& placement, const std::string& where) {
  std::vector<std::int64_t> all;
  for (const auto& stages : placement) all.insert(all.end(), stages.begin(), stages.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.empty() || all.front() != 0 || all.back() + 1 != std::ssize(all)) {
    throw BadInput(where, "leaves out a stage", "expected every stage from 0 on");
  }
  return std::ssize(all);
}

std::string TextOf(const PerStage& list) {
  std::string text;
  for (const std::int64_t number : list) text += (text.empty() ? "" : " ") + std::to_string(number);
  return text;
}

}  // namespace

std::string Header::FirstLine() { return "# lockstep schedule 1"; }

bool Header::Begins(std::string_view first_line) { return first_line.starts_with("# lockstep schedule"); }

std::string Header::Write(const Document& document) {
  const protocol::Schedule& schedule = document.schedule;
  std::string text = FirstLine() + "\n# name: " + schedule.name +
                     "\n# ranks: " + std::to_string(schedule.ranks.size()) +
                     "\n# chunks: " + std::to_string(Chunks(schedule)) +
                     "\n# micro_batches: " + std::to_string(schedule.micro_batches) + "\n";
  if (!schedule.placement.empty()) {
    text += "# placement: ";
    for (std::size_t rank = 0; rank < schedule.placement.size(); ++rank) {
      text += (rank == 0 ? "" : ", ") + TextOf(schedule.placement[rank]);
    }
    text += "\n";
  }
  if (document.channels) text += "# channels: " + ToString(*document.channels) + "\n";
  const Costs usual;
  for (const CostField& field : CostFields()) {
    const bool list = field.list != nullptr;
    const bool same =
        list ? document.costs.*field.list == usual.*field.list : document.costs.*field.number == usual.*field.number;
    if (same) continue;
    text += "# " + field.name + ": " +
            (list ? TextOf(document.costs.*field.list) : std::to_string(document.costs.*field.number)) + "\n";
  }
  return text;
}

void Header::Read(const std::string& line, const std::string& place) {
  if (line == FirstLine() && values_.empty()) return;
  if (Begins(line)) throw BadInput(place, "\"" + line + "\" is another version", "expected \"" + FirstLine() + "\"");
  const std::size_t colon = line.find(':');
  const std::string key = Strip(line.substr(1, colon == std::string::npos ? colon : colon - 1));
  if (colon == std::string::npos) throw BadInput(place, "has no ':'", "expected \"# key: value\"");
  const std::vector<std::string> keys = Keys();
  if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
    const std::string near = protocol::Nearest(key, keys);
    throw BadInput(place, "\"" + key + "\" is no key of the header",
                   near.empty() ? "expected name, ranks, chunks, micro_batches, ..." : "expected \"" + near + "\"");
  }
  if (!values_.emplace(key, Value{Strip(line.substr(colon + 1)), place}).second) {
    throw BadInput(place, "gives " + key + " twice");
  }
}

const Header::Value& Header::Required(const std::string& key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) throw BadInput(where_, "the header lacks " + key, "expected \"# " + key + ": ...\"");
  return found->second;
}

std::int64_t Header::Number(const std::string& key) const {
  const Value& value = Required(key);
  const std::int64_t most = key == "ranks" ? kMostRanks : key == "chunks" ? kMostStages : kMostMicroBatches;
  const auto number = ToNumber(value.text);
  if (!number || *number < 1 || *number > most) {
    throw BadInput(value.place, key + " is \"" + value.text + "\"", "expected 1 to " + std::to_string(most));
  }
  return *number;
}

void Header::Apply(Document* document) const {
  protocol::Schedule& schedule = document->schedule;
  const Value& name = Required("name");
  schedule.name = name.text;
  if (name.text.empty() || std::ssize(name.text) > kMostOfName || protocol::OneLine(name.text) != name.text) {
    throw BadInput(name.place, "name is \"" + name.text + "\"",
                   "expected 1 to " + std::to_string(kMostOfName) + " bytes of printable text");
  }
  const std::int64_t ranks = Number("ranks"), chunks = Number("chunks");
  schedule.micro_batches = Number("micro_batches");
  if (ranks != std::ssize(schedule.ranks)) {
    throw BadInput(where_, "has " + std::to_string(schedule.ranks.size()) + " lines of actions",
                   "expected one for each of the " + std::to_string(ranks) + " ranks");
  }
  schedule.stages = ranks * chunks;
  if (schedule.stages > kMostStages) throw BadInput(where_, "has more than " + std::to_string(kMostStages) + " stages");
  if (const auto said = values_.find("placement"); said != values_.end()) {
    schedule.placement = ParsePlacement(said->second.text, schedule.ranks.size(), said->second.place);
    if (Chunks(schedule) != chunks) {
      throw BadInput(said->second.place, "gives a rank up to " + std::to_string(Chunks(schedule)) + " stages",
                     "expected " + std::to_string(chunks) + " chunks");
    }
    schedule.stages = StagesOf(schedule.placement, said->second.place);
  }
  if (const auto said = values_.find("channels"); said != values_.end()) {
    document->channels = ParseChannels(said->second.text, said->second.place);
  }
  for (const CostField& field : CostFields()) {
    const auto said = values_.find(field.name);
    if (said != values_.end()) {
      SetCost(field, said->second.text, schedule.stages, said->second.place + ": " + field.name, &document->costs);
    }
  }
  ValidateCosts(document->costs, schedule.stages, where_);
}

Channels ParseChannels(const std::string& text, const std::string& where) {
  if (text == "unbounded") return {ChannelKind::kUnbounded, 1};
  if (text == "rendezvous") return {ChannelKind::kRendezvous, 1};
  if (text.starts_with("bounded")) {
    const auto number = ToNumber(Strip(text.substr(7)));
    if (number && *number >= 1 && *number <= kMostMicroBatches) return {ChannelKind::kBounded, *number};
  }
  throw BadInput(where, "channels are \"" + text + "\"", "expected unbounded, bounded N or rendezvous");
}

PerStage ParsePerStage(const std::string& text, std::int64_t stages, std::int64_t most, const std::string& where) {
  const auto numbers = ToNumbers(text, " \t,");
  const bool fits = numbers && (numbers->size() == 1 || std::ssize(*numbers) == stages);
  const auto in_range = [&](std::int64_t number) { return number >= 0 && number <= most; };
  if (fits && std::all_of(numbers->begin(), numbers->end(), in_range)) return *numbers;
  throw BadInput(where, "is \"" + text + "\"",
                 "expected one whole number from 0 to " + std::to_string(most) + ", or one for each of the " +
                     std::to_string(stages) + " stages");
}

void SetCost(const CostField& field, const std::string& text, std::int64_t stages, const std::string& where,
             Costs* costs) {
  const bool bytes = field.name.ends_with("bytes") || field.name == "bandwidth";
  const std::int64_t most = bytes ? kMostBytes : kMostTicks;
  if (field.list != nullptr) {
    costs->*field.list = ParsePerStage(text, stages, most, where);
  } else {
    costs->*field.number = ParsePerStage(text, 1, most, where)[0];
  }
}

void ValidateCosts(const Costs& costs, std::int64_t stages, const std::string& where) {
  for (const CostField& field : CostFields()) {
    if (field.list == nullptr) continue;
    const auto size = std::ssize(costs.*field.list);
    if (size > 1 && size != stages) {
      throw BadInput(where, field.name + " has " + std::to_string(size) + " numbers",
                     "expected one, or one for each of the " + std::to_string(stages) + " stages");
    }
  }
  for (std::int64_t stage = 0; stage < stages && costs.bandwidth > 0; ++stage) {
    if (TransferTicks(costs, stage) <= kMostTicks) continue;
    throw BadInput(where,
                   "a message of " + std::to_string(At(costs.message_bytes, stage)) + " bytes takes " +
                       std::to_string(TransferTicks(costs, stage)) + " ticks",
                   "expected at most " + std::to_string(kMostTicks) + "; measure in longer ticks");
  }
}

}  // namespace lockstep::schedule
