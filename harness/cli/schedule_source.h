// Which schedule a `lockstep schedule` command is about: a generator with a shape, or a file; and what it costs.
#pragma once

#include <map>
#include <string>

#include "harness/schedule/file.h"
#include "harness/schedule/generate.h"

namespace CLI {
class App;
}

namespace lockstep::cli {

struct ScheduleSource {
  std::string name_or_file;
  std::int64_t ranks = 0, chunks = 0, micro_batches = 0;  // 0: not said
  std::string channels;                                   // "": what the file says, or every kind
  std::map<std::string, std::string> costs;               // what options say, by the name of the field
};

// Declares the schedule's own arguments; and those for durations, bytes and links.
void AddShapeOptions(CLI::App* app, ScheduleSource* source);
void AddCostOptions(CLI::App* app, ScheduleSource* source);

// `word`, which must be one of `words`; BadInput with the nearest otherwise.
std::string Chosen(const std::string& option, const std::string& word, const std::vector<std::string>& words);

// The schedule, its costs with what the options say in place, and its channels. Throws BadInput.
schedule::Document Load(const ScheduleSource& source);

// The generator behind a source that is no file; nothing for a file.
const schedule::Generator* GeneratorOf(const ScheduleSource& source);

// The closed form of a generated schedule under its costs, where there is one: the same for all stages, free links.
std::optional<schedule::ClosedForm> ClosedFormOf(const ScheduleSource& source, const schedule::Document& document);

// What a schedule must hold on: its own kind of channels, or every kind.
std::vector<schedule::Channels> ChannelsOf(const schedule::Document& document);

}  // namespace lockstep::cli
