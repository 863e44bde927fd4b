// Chrome trace events as a file, for Perfetto and chrome://tracing: the format's own rules, and nothing of training.
//
// Events are collected and written in the order of their times, so that every track is monotone. Times are nanoseconds
// from the caller's zero and not negative; the file has microseconds to the nanosecond. Threads are made
// by row: a row is one thread for as long as its slices nest, and gets a second one where they don't, because slices of
// one thread that overlap are refused or drawn wrong. Thread ids are unique in the file and never a process's, because
// readers look threads up by id alone. A flow is bound to a slice by lying inside it: so a slice that flows touch is at
// least a nanosecond long.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace lockstep::stalls {

struct ChromeSlice {
  std::int64_t began = 0, ended = 0;  // 0 <= began <= ended
  std::string name, category;
  nlohmann::json arguments = nlohmann::json::object();
};

// Where a slice came to lie, for flows.
struct ChromePlace {
  std::int64_t process = 0, thread = 0;
  std::int64_t began = 0, ended = 0;
};

enum class Overlap {
  kNests,    // one slice inside another stays on its thread
  kNextRow,  // any overlap opens a further thread: "communication", "communication 2"
};

class ChromeWriter {
 public:
  void AddProcess(std::int64_t process, const std::string& name, const std::string& label);
  // One row of a process, in the order in which rows are drawn. The result: where each slice lies, in their order.
  std::vector<ChromePlace> AddRow(std::int64_t process, const std::string& name, Overlap overlap,
                                  const std::vector<ChromeSlice>& slices);
  // An arrow from the beginning of one slice to the end of another. False, and no arrow, where that leads back in time.
  bool AddFlow(const std::string& name, const std::string& category, const ChromePlace& from, const ChromePlace& to);
  void AddCounter(std::int64_t process, const std::string& name, const std::string& unit, std::int64_t at,
                  std::int64_t value);

  // The whole file: {"displayTimeUnit": "ms", "otherData": about, "traceEvents": [...]}.
  void Write(const std::filesystem::path& file, const nlohmann::json& about);

 private:
  struct Event {
    std::int64_t at = 0;
    std::string text;  // one JSON object
  };
  std::int64_t AddThread(std::int64_t process, const std::string& name);

  std::vector<std::string> names_;  // metadata events
  std::vector<Event> events_;
  std::int64_t threads_ = 0, flows_ = 0;
};

}  // namespace lockstep::stalls
