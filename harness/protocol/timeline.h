// timeline.jsonl: where each moment of a rank's steps went. See PROTOCOL.md, "timeline.jsonl".
//
// Times are seconds on the clock that the ranks have in common. A reader sees what a trainer wrote and judges nothing:
// whether times make sense together is for harness/stalls to say.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/schedule.h"

namespace lockstep::protocol {

struct Interval {
  double began = 0, ended = 0;
  bool operator==(const Interval&) const = default;
};

struct TimelineClock {
  std::int64_t rank = 0;
  double offset_seconds = 0, uncertainty_seconds = 0;       // of the rank's own clock against the common one
  double unix_seconds = 0;                                  // time of day at 0
  std::int64_t first_step = 1, last_step = 0;               // last < first: no step
  std::map<std::string, std::vector<std::int64_t>> groups;  // ranks of the world
  bool operator==(const TimelineClock&) const = default;
};

struct TimelineStep {
  std::int64_t step = 0;
  Interval time;
  bool operator==(const TimelineStep&) const = default;
};

struct TimelineOp {
  std::int64_t step = 0, position = 0;  // in schedule.ranks[pipeline rank]
  Action action;
  double enqueued = 0, ready = 0, started = 0, ended = 0;
  std::int64_t memory = -1, activations = -1;  // bytes in use at the end; -1: not said
  bool operator==(const TimelineOp&) const = default;
};

struct TimelineMessage {  // one end of a transfer
  std::int64_t step = 0;
  bool send = false, backward = false;
  std::int64_t peer = 0;  // rank of the world
  std::int64_t source_stage = 0, target_stage = 0, micro_batch = 0;
  std::int64_t bytes = 0;
  double posted = 0, ended = 0;
  std::optional<Interval> wait;  // when the rank stood still for it
  bool operator==(const TimelineMessage&) const = default;
};

struct TimelineCollective {
  std::int64_t step = 0;
  std::string group;
  std::int64_t number = 0;  // of the group's collectives in the run
  std::string operation;    // "all_reduce", ...
  std::int64_t bytes = 0;
  double posted = 0, ended = 0;
  std::optional<Interval> wait;
  bool operator==(const TimelineCollective&) const = default;
};

struct TimelineSpan {
  std::int64_t step = 0;
  std::string name;  // "data", "send", ...
  Interval time;
  bool operator==(const TimelineSpan&) const = default;
};

struct Timeline {
  TimelineClock clock;
  std::vector<TimelineStep> steps;
  std::vector<TimelineOp> ops;
  std::vector<TimelineMessage> messages;
  std::vector<TimelineCollective> collectives;
  std::vector<TimelineSpan> spans;
  bool operator==(const Timeline&) const = default;
};

// Throws BadInput naming file, line and field. Events of other kinds are skipped.
Timeline ReadTimeline(const std::filesystem::path& file);
Timeline TimelineFromText(const std::string& text, const std::string& where);
std::string TimelineToText(const Timeline& timeline);
void WriteTimeline(const std::filesystem::path& file, const Timeline& timeline);

inline constexpr const char* kTimelineFile = "timeline.jsonl";  // in the rank's evidence folder

}  // namespace lockstep::protocol
