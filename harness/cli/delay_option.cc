#include "harness/cli/delay_option.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"

namespace lockstep::cli {
namespace {

using protocol::BadInput;
using protocol::Delay;

constexpr const char* kWhere = "--delay";
constexpr double kMostMilliseconds = 3'600'000;
const std::vector<std::string> kKeys{"rank", "op", "ms", "step", "micro_batch"};
const std::map<std::string, std::string> kWords{{"forward", "F"}, {"backward", "B"}};

std::map<std::string, std::string> Parts(const std::string& text) {
  std::map<std::string, std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) {
      throw BadInput(kWhere, "'" + protocol::OneLine(part, 60) + "' is no KEY=VALUE", "expected rank=1,op=F,ms=50");
    }
    const std::string key = part.substr(0, equals);
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      const std::string near = protocol::Nearest(key, kKeys);
      throw BadInput(kWhere, "has no '" + protocol::OneLine(key, 60) + "'",
                     near.empty() ? "expected rank, op, ms, step, micro_batch" : "did you mean '" + near + "'?");
    }
    if (!parts.emplace(key, part.substr(equals + 1)).second) throw BadInput(kWhere, "says '" + key + "' twice");
    begin = end + 1;
  }
  for (const char* needed : {"rank", "op", "ms"}) {
    if (!parts.contains(needed))
      throw BadInput(kWhere, fmt::format("lacks '{}'", needed), "expected rank=1,op=F,ms=50");
  }
  return parts;
}

template <typename Number>
Number NumberOf(const std::map<std::string, std::string>& parts, const std::string& key, Number least, Number most) {
  const std::string& text = parts.at(key);
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= least && value <= most)) {
    throw BadInput(kWhere, key + " is '" + protocol::OneLine(text, 60) + "'",
                   fmt::format("expected a number from {} to {}", least, most));
  }
  return value;
}

std::string OperationOf(const std::string& said) {
  const auto word = kWords.find(said);
  const std::string name = word == kWords.end() ? said : word->second;
  const std::vector<std::string>& known = protocol::DelayOperations();
  if (std::find(known.begin(), known.end(), name) != known.end()) return name;
  std::vector<std::string> words = known;
  for (const auto& [long_word, letter] : kWords) words.push_back(long_word);
  const std::string near = protocol::Nearest(said, words);
  throw BadInput(
      kWhere, "knows no operation '" + protocol::OneLine(said, 60) + "'",
      near.empty() ? fmt::format("expected one of {}", fmt::join(known, ", ")) : "did you mean '" + near + "'?");
}

// A delay that never comes would pass for one that costs nothing.
void RefuseIdle(const Delay& delay, const protocol::Request& request) {
  if (protocol::SleepsInStep(delay, request.plan, request.schedule) > 0) return;
  if (delay.operation == "send") {
    throw BadInput(kWhere, "op is send, and with one pipeline rank nobody sends", "expected a plan with pp=2 or more");
  }
  throw BadInput(kWhere, fmt::format("op is {}, and the line of rank {} has none", delay.operation, delay.rank),
                 delay.operation == "B" ? "schedule " + request.schedule.name + " has I and W" : "expected F or B");
}

}  // namespace

void AddDelay(const std::string& text, protocol::Request* request) {
  const auto parts = Parts(text);
  Delay delay;
  delay.rank = NumberOf<std::int64_t>(parts, "rank", 0, request->plan.WorldSize() - 1);
  delay.operation = OperationOf(parts.at("op"));
  delay.seconds = NumberOf<double>(parts, "ms", 1e-3, kMostMilliseconds) / 1e3;
  if (parts.contains("step")) delay.step = NumberOf<std::int64_t>(parts, "step", 1, request->workload.steps);
  if (parts.contains("micro_batch")) {
    const bool has = delay.operation.size() == 1 || delay.operation == "send";
    if (!has) throw BadInput(kWhere, delay.operation + " is of a whole step", "leave out micro_batch");
    delay.micro_batch = NumberOf<std::int64_t>(parts, "micro_batch", 0, request->plan.micro_batches - 1);
  }
  RefuseIdle(delay, *request);
  request->delays.push_back(delay);
}

}  // namespace lockstep::cli
