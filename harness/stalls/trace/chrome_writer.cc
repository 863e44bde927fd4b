#include "harness/stalls/trace/chrome_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "harness/protocol/whole_file.h"

namespace lockstep::stalls {
namespace {

using protocol::WholeFile;

constexpr std::int64_t kFirstThread = 100'000;   // above every rank
constexpr std::size_t kFlushBytes = 1ull << 20;  // of text between two writes

// Some readers (Perfetto's) multiply by 1000 and cut off what is behind the point: 0.299 is then 298 ns, and a slice
// ends after the one that it lies in. A tenth of a nanosecond more is right for those and for readers that round.
std::string Microseconds(std::int64_t nanoseconds) {
  std::string text = fmt::format("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000);
  if (static_cast<std::int64_t>(std::strtod(text.c_str(), nullptr) * 1000.0) != nanoseconds) text += '1';
  return text;
}

// As JSON, whatever bytes a trainer put into a name.
std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ObjectText(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The slices that are open on one thread at the moment where the last one was added.
class OpenSlices {
 public:
  bool Takes(const ChromeSlice& slice, Overlap overlap) {
    while (!ends_.empty() && ends_.back() <= slice.began) ends_.pop_back();
    return ends_.empty() || (overlap == Overlap::kNests && slice.ended <= ends_.back());
  }
  void Add(const ChromeSlice& slice) { ends_.push_back(slice.ended); }

 private:
  std::vector<std::int64_t> ends_;  // the innermost last
};

}  // namespace

void ChromeWriter::AddProcess(std::int64_t process, const std::string& name, const std::string& label) {
  const auto add = [&](const char* what, const std::string& arguments) {
    names_.push_back(fmt::format(R"({{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{{}}}}})", what, process,
                                 kFirstThread + threads_, arguments));
  };
  add("process_name", R"("name":)" + Quoted(name));
  add("process_sort_index", R"("sort_index":)" + std::to_string(process));
  if (!label.empty()) add("process_labels", R"("labels":)" + Quoted(label));
}

std::int64_t ChromeWriter::AddThread(std::int64_t process, const std::string& name) {
  const std::int64_t thread = kFirstThread + threads_++;
  names_.push_back(fmt::format(R"({{"ph":"M","name":"thread_name","pid":{},"tid":{},"args":{{"name":{}}}}})", process,
                               thread, Quoted(name)));
  names_.push_back(
      fmt::format(R"({{"ph":"M","name":"thread_sort_index","pid":{},"tid":{},"args":{{"sort_index":{}}}}})", process,
                  thread, thread - kFirstThread));
  return thread;
}

std::vector<ChromePlace> ChromeWriter::AddRow(std::int64_t process, const std::string& name, Overlap overlap,
                                              const std::vector<ChromeSlice>& slices) {
  std::vector<std::size_t> order(slices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Outer slices before those that begin with them.
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (slices[a].began != slices[b].began) return slices[a].began < slices[b].began;
    return slices[a].ended > slices[b].ended;
  });
  std::vector<std::int64_t> threads{AddThread(process, name)};
  std::vector<OpenSlices> open(1);
  std::vector<ChromePlace> places(slices.size());
  for (const std::size_t index : order) {
    const ChromeSlice& slice = slices[index];
    std::size_t row = 0;
    while (row < open.size() && !open[row].Takes(slice, overlap)) ++row;
    if (row == open.size()) {
      open.emplace_back();
      threads.push_back(AddThread(process, name + " " + std::to_string(row + 1)));
    }
    open[row].Add(slice);
    places[index] = {process, threads[row], slice.began, slice.ended};
    events_.push_back(
        {slice.began, fmt::format(R"({{"ph":"X","name":{},"cat":"{}","pid":{},"tid":{},"ts":{},"dur":{},"args":{}}})",
                                  Quoted(slice.name), slice.category, process, threads[row], Microseconds(slice.began),
                                  Microseconds(slice.ended - slice.began), ObjectText(slice.arguments))});
  }
  return places;
}

bool ChromeWriter::AddFlow(const std::string& name, const std::string& category, const ChromePlace& from,
                           const ChromePlace& to) {
  const std::int64_t end = to.ended - 1;  // still inside
  if (end < from.began || end < to.began || from.ended <= from.began) return false;
  const std::int64_t id = ++flows_;
  const auto add = [&](char phase, const char* binding, const ChromePlace& place, std::int64_t at) {
    events_.push_back(
        {at, fmt::format(R"({{"ph":"{}",{}"id":{},"name":{},"cat":"{}","pid":{},"tid":{},"ts":{}}})", phase, binding,
                         id, Quoted(name), category, place.process, place.thread, Microseconds(at))});
  };
  add('s', "", from, from.began);
  add('f', R"("bp":"e",)", to, end);
  return true;
}

void ChromeWriter::AddCounter(std::int64_t process, const std::string& name, const std::string& unit, std::int64_t at,
                              std::int64_t value) {
  events_.push_back({at, fmt::format(R"({{"ph":"C","name":{},"pid":{},"tid":{},"ts":{},"args":{{{}:{}}}}})",
                                     Quoted(name), process, kFirstThread, Microseconds(at), Quoted(unit), value)});
}

void ChromeWriter::Write(const std::filesystem::path& file, const nlohmann::json& about) {
  // Stable: a slice stands before the flows and the slices that begin with it.
  std::stable_sort(events_.begin(), events_.end(), [](const Event& a, const Event& b) { return a.at < b.at; });
  WholeFile out(file);
  std::string text = R"({"displayTimeUnit":"ms","otherData":)" + ObjectText(about) + ",\n\"traceEvents\":[\n";
  bool first = true;
  const auto add = [&](const std::string& event) {
    if (!first) text += ",\n";
    first = false;
    text += event;
    if (text.size() < kFlushBytes) return;
    out.Append(text);
    text.clear();
  };
  for (const std::string& event : names_) add(event);
  for (const Event& event : events_) add(event.text);
  out.Append(text + "\n]}\n");
  out.Commit(protocol::Durability::kRenamed);
}

}  // namespace lockstep::stalls
