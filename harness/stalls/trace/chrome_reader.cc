#include "harness/stalls/trace/chrome_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"

namespace lockstep::stalls {
namespace {

using nlohmann::json;
using protocol::BadInput;

constexpr int kNoEvents = -1;                                // outside of their list
constexpr int kDeepest = 64;                                 // levels of nesting
constexpr std::uint64_t kMaxBytes = 8ull << 30;              // of a file
constexpr double kMaxMicroseconds = 3e15;                    // since 1970: 95 years
constexpr double kLongestMicroseconds = 1e14;                // of one slice: 3 years
constexpr std::int64_t kLatest = 4'000'000'000'000'000'000;  // nanoseconds; differences fit in 63 bits

class Reader {
 public:
  Reader(const std::string& text, const std::string& where) : text_(text) { trace_.file = where; }

  ChromeTrace Read() {
    json rest;  // of the file, without its events
    try {
      rest = json::parse(
          text_, [this](int depth, json::parse_event_t event, json& parsed) { return Keep(depth, event, parsed); });
    } catch (const json::parse_error& error) {
      RefuseSyntax(error);
    } catch (const json::exception& error) {  // a number out of range
      throw BadInput(trace_.file, error.what());
    }
    if (!found_events_) {
      throw BadInput(trace_.file, "has no \"traceEvents\"", "expected a Chrome trace, as torch.profiler writes it");
    }
    if (rest.is_object()) TakeHeader(rest);
    for (TraceSlice& slice : trace_.slices) {
      if (slice.began > kLatest - base_) {
        throw BadInput(trace_.file, "has events after the year 2096", "expected nanoseconds in baseTimeNanoseconds");
      }
      slice.began += base_;
      slice.ended += base_;
    }
    std::stable_sort(trace_.slices.begin(), trace_.slices.end(), [](const TraceSlice& a, const TraceSlice& b) {
      return a.began != b.began ? a.began < b.began : a.ended > b.ended;
    });
    return std::move(trace_);
  }

 private:
  // Events are taken when they end, and not kept.
  bool Keep(int depth, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        if (depth >= kDeepest) throw BadInput(trace_.file, fmt::format("nested deeper than {} levels", kDeepest));
        if (event == json::parse_event_t::array_start && depth == 0) event_depth_ = 1;  // the events alone
        if (event == json::parse_event_t::array_start && depth == 1 && key_ == "traceEvents") event_depth_ = 2;
        found_events_ = found_events_ || event_depth_ != kNoEvents;
        return true;
      case json::parse_event_t::key:
        if (depth == 1) key_ = parsed.get_ref<const std::string&>();
        return true;
      case json::parse_event_t::array_end:
        if (event_depth_ == depth + 1) event_depth_ = kNoEvents;
        return true;
      case json::parse_event_t::object_end:
        if (depth != event_depth_) return true;
        TakeEvent(parsed);
        return false;
      default:
        return true;
    }
  }

  [[noreturn]] void RefuseSyntax(const json::parse_error& error) const {
    if (error.byte > text_.size()) {
      throw BadInput(trace_.file, fmt::format("is cut short: its JSON does not end within its {} bytes", text_.size()),
                     "expected a whole trace");
    }
    throw BadInput(trace_.file, fmt::format("is not JSON at byte {}", error.byte), "expected a Chrome trace");
  }

  [[noreturn]] void RefuseField(const char* key, const std::string& problem, const char* expected) const {
    throw BadInput(fmt::format("{}: traceEvents[{}].{}", trace_.file, events_, key), problem, expected);
  }

  void TakeHeader(const json& header) {
    const auto found = header.find("baseTimeNanoseconds");
    if (found != header.end()) base_ = IntegerOf(*found, "baseTimeNanoseconds", 0, kLatest);
    const auto distributed = header.find("distributedInfo");
    if (distributed != header.end() && distributed->is_object()) {
      const auto take = [&](const char* key) -> std::optional<std::int64_t> {
        const auto value = distributed->find(key);
        if (value == distributed->end()) return std::nullopt;
        return IntegerOf(*value, std::string("distributedInfo.") + key, 0, 1'000'000);
      };
      trace_.rank = take("rank");
      trace_.world_size = take("world_size");
      trace_.backend = TextOf(*distributed, "backend");
    }
    trace_.host = TextOf(header, "host_name");
    const auto other = header.find("otherData");
    if (other != header.end()) trace_.made_by = TextOf(*other, "made by");
  }

  std::int64_t IntegerOf(const json& value, const std::string& key, std::int64_t least, std::int64_t most) const {
    if (value.is_number_integer() && value >= least && value <= most) return value.get<std::int64_t>();
    throw BadInput(trace_.file + ": " + key, "is " + value.dump(-1, ' ', false, json::error_handler_t::replace),
                   fmt::format("expected a whole number from {} to {}", least, most));
  }

  static std::string TextOf(const json& object, const char* key) {
    if (!object.is_object()) return "";
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  }

  void TakeEvent(const json& event) {
    if (TextOf(event, "ph") == "X") {
      TraceSlice slice;
      slice.name = Intern(TextOf(event, "name"));
      slice.category = Intern(TextOf(event, "cat"));
      slice.process = NumberOrName(event, "pid");
      slice.thread = NumberOrName(event, "tid");
      slice.began = Nanoseconds(event, "ts", kMaxMicroseconds);
      slice.ended = slice.began + Nanoseconds(event, "dur", kLongestMicroseconds);
      const auto arguments = event.find("args");
      if (arguments != event.end() && arguments->is_object()) TakeArguments(*arguments, slice);
      trace_.slices.push_back(slice);
    }
    ++events_;
  }

  void TakeArguments(const json& arguments, TraceSlice& slice) {
    const auto integer = [&](const char* key) {
      const auto found = arguments.find(key);
      return found != arguments.end() && found->is_number_integer() ? found->get<std::int64_t>() : -1;
    };
    slice.sequence = integer("Sequence number");
    slice.correlation = integer("correlation");
    const auto finished = arguments.find("finished");
    slice.finished = finished == arguments.end() || *finished != false;
    std::string name = TextOf(arguments, "Collective name");
    if (name.empty()) return;
    slice.collective = static_cast<std::int32_t>(trace_.collectives.size());
    trace_.collectives.push_back({std::move(name), TextOf(arguments, "Process Group Name"), RanksOf(arguments)});
  }

  // A list, or a text "[0, 1, 2]"; a long one is cut short in the file and then says nothing.
  static std::vector<std::int64_t> RanksOf(const json& arguments) {
    const auto found = arguments.find("Process Group Ranks");
    if (found == arguments.end()) return {};
    json list = *found;
    if (list.is_string()) list = json::parse(list.get<std::string>(), nullptr, false);
    if (!list.is_array()) return {};
    std::vector<std::int64_t> ranks;
    for (const json& rank : list) {
      if (!rank.is_number_integer()) return {};
      ranks.push_back(rank.get<std::int64_t>());
    }
    return ranks;
  }

  std::int64_t Nanoseconds(const json& event, const char* key, double most) const {
    const auto found = event.find(key);
    if (found == event.end()) RefuseField(key, "is missing", "expected microseconds");
    if (!found->is_number()) RefuseField(key, "is no number", "expected microseconds");
    const double value = found->get<double>();
    if (!(value >= 0 && value <= most)) {
      RefuseField(key, fmt::format("is {:g}", value), "expected microseconds of this century");
    }
    return std::llround(value * 1e3);
  }

  std::int64_t NumberOrName(const json& event, const char* key) {
    const auto found = event.find(key);
    if (found == event.end()) return -1;
    if (found->is_number_integer()) return found->get<std::int64_t>();
    if (found->is_string()) return -2 - Intern(found->get<std::string>());
    RefuseField(key, "is neither number nor text", "expected a process's or thread's id");
  }

  std::int32_t Intern(const std::string& text) {
    const auto [found, is_new] = numbers_.emplace(text, static_cast<std::int32_t>(trace_.strings.size()));
    if (is_new) trace_.strings.push_back(text);
    return found->second;
  }

  const std::string& text_;
  ChromeTrace trace_;
  std::unordered_map<std::string, std::int32_t> numbers_;
  std::string key_;              // of the outermost object
  int event_depth_ = kNoEvents;  // at which events end; 0: outside of their list
  bool found_events_ = false;
  std::int64_t events_ = 0, base_ = 0;
};

}  // namespace

ChromeTrace ChromeTraceFromText(const std::string& text, const std::string& where) {
  if (text.starts_with("\x1f\x8b")) throw BadInput(where, "is compressed", "expected JSON; gunzip it first");
  return Reader(text, where).Read();
}

ChromeTrace ReadChromeTrace(const std::filesystem::path& file) {
  return ChromeTraceFromText(protocol::ReadTextFile(file, kMaxBytes), file.string());
}

}  // namespace lockstep::stalls
