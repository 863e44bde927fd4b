// Complete slices of a Chrome trace (ph "X"), with what importers ask of their arguments; nothing of what they mean.
//
// Times are nanoseconds since 1970 where the file says its base ("baseTimeNanoseconds", as PyTorch's profiler does),
// otherwise of the file's own clock. The file is read event by event: its size in memory is that of its slices. Events
// of other phases are skipped. Threads are numbers or names in these files; here they are numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::stalls {

// Arguments of a collective, as PyTorch writes them beside its kernels and calls.
struct TraceCollectiveArguments {
  std::string name;                 // "allreduce"
  std::string group;                // "0"
  std::vector<std::int64_t> ranks;  // of the group; empty where the file doesn't say or cuts them short
};

struct TraceSlice {
  std::int32_t name = 0, category = 0;  // in ChromeTrace::strings
  std::int64_t process = 0, thread = 0;
  std::int64_t began = 0, ended = 0;  // ended >= began
  std::int64_t sequence = -1;         // "Sequence number": ties a forward operation to its backward
  std::int64_t correlation = -1;      // ties a kernel to its launch
  std::int32_t collective = -1;       // in ChromeTrace::collectives
  bool finished = true;               // false: still open when the recording ended; `ended` is that moment
};

struct ChromeTrace {
  std::string file;
  std::vector<std::string> strings;
  std::vector<TraceSlice> slices;  // by begin, the longer first
  std::vector<TraceCollectiveArguments> collectives;
  std::optional<std::int64_t> rank, world_size;  // "distributedInfo"
  std::string backend, host;
  std::string made_by;  // "otherData": "made by"

  std::string_view Name(const TraceSlice& slice) const { return strings[static_cast<std::size_t>(slice.name)]; }
  std::string_view Category(const TraceSlice& slice) const { return strings[static_cast<std::size_t>(slice.category)]; }
};

// Throws BadInput of one line: no JSON, cut short, no trace events, a field of another type.
ChromeTrace ReadChromeTrace(const std::filesystem::path& file);
ChromeTrace ChromeTraceFromText(const std::string& text, const std::string& where);

}  // namespace lockstep::stalls
