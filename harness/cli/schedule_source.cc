#include "harness/cli/schedule_source.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "harness/cli/numbers.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/schedule/verify.h"

namespace lockstep::cli {
namespace {

using protocol::BadInput;

constexpr std::int64_t kRanks = 4;                     // where nothing is said
constexpr std::int64_t kMostMicroBatches = 1'000'000;  // of a generated schedule
constexpr std::int64_t kMostActions = 50'000'000;

// Names that people expect beside the field's own.
const std::map<std::string, std::string> kShortNames{{"input_gradient", "--input"}, {"weight_gradient", "--weight"}};

std::string OptionOf(const std::string& field) {
  std::string option = field;
  std::replace(option.begin(), option.end(), '_', '-');
  const auto other = kShortNames.find(field);
  return (other == kShortNames.end() ? "" : other->second + ",") + "--" + option;
}

schedule::Shape ShapeOf(const ScheduleSource& source, const schedule::Generator& generator) {
  schedule::Shape shape;
  shape.ranks = source.ranks == 0 ? kRanks : source.ranks;
  shape.chunks = source.chunks == 0 ? generator.min_chunks : source.chunks;
  shape.micro_batches = source.micro_batches == 0 ? 2 * shape.ranks : source.micro_batches;
  if (shape.ranks < 2)
    throw BadInput("--ranks", "is " + std::to_string(shape.ranks), "expected at least 2 for a pipeline");
  if (shape.ranks * shape.chunks > kMostActions / 2 / shape.micro_batches) {
    throw BadInput("--micro-batches", "the schedule would have more than " + std::to_string(kMostActions) + " actions");
  }
  return shape;
}

}  // namespace

std::string Chosen(const std::string& option, const std::string& word, const std::vector<std::string>& words) {
  if (std::find(words.begin(), words.end(), word) != words.end()) return word;
  std::string all;
  for (const std::string& each : words) all += (all.empty() ? "" : ", ") + each;
  const std::string near = protocol::Nearest(word, words);
  throw BadInput(option, "is '" + word + "'", near.empty() ? "expected one of " + all : "did you mean '" + near + "'?");
}

void AddShapeOptions(CLI::App* app, ScheduleSource* source) {
  app->add_option("schedule", source->name_or_file,
                  "A schedule's name (`lockstep list schedules`), or a file: Lockstep's form, or torch's CSV")
      ->required()
      ->type_name("NAME|FILE");
  app->add_option("-p,--ranks", source->ranks, "Ranks of a schedule given by name; 4 if absent")
      ->check(WholeNumber(1, protocol::kMaxRanks))
      ->type_name("N");
  app->add_option("-v,--chunks", source->chunks, "Stages a rank; as few as the schedule lays out if absent")
      ->check(WholeNumber(1, protocol::kMaxRanks))
      ->type_name("N");
  app->add_option("-m,--micro-batches", source->micro_batches, "Micro-batches; twice the ranks if absent")
      ->check(WholeNumber(1, kMostMicroBatches))
      ->type_name("N");
  app->add_option("--channels", source->channels,
                  "How a SEND in the text waits: unbounded, bounded N or rendezvous; what the file says if absent")
      ->type_name("KIND");
}

void AddCostOptions(CLI::App* app, ScheduleSource* source) {
  for (const schedule::CostField& field : schedule::CostFields()) {
    std::string text = field.sentence + (field.list != nullptr ? "; one number, or one a stage: 2,2,3" : "");
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    app->add_option(OptionOf(field.name), source->costs[field.name], text)->type_name("N");
  }
}

const schedule::Generator* GeneratorOf(const ScheduleSource& source) {
  for (const schedule::Generator* generator : schedule::AllGenerators()) {
    if (generator->name == source.name_or_file) return generator;
  }
  return nullptr;
}

schedule::Document Load(const ScheduleSource& source) {
  schedule::Document document;
  if (const schedule::Generator* generator = GeneratorOf(source)) {
    document.schedule = schedule::Generate(*generator, ShapeOf(source, *generator), "schedule");
  } else {
    std::error_code error;
    if (!std::filesystem::exists(source.name_or_file, error)) {
      std::vector<std::string> names;
      for (const schedule::Generator* each : schedule::AllGenerators()) names.push_back(each->name);
      const std::string near = protocol::Nearest(source.name_or_file, names);
      throw BadInput("schedule", "'" + source.name_or_file + "' is no schedule's name and no file",
                     near.empty() ? "see `lockstep list schedules`" : "did you mean '" + near + "'?");
    }
    if (source.ranks != 0 || source.chunks != 0 || source.micro_batches != 0) {
      throw BadInput("schedule", source.name_or_file + " has its own shape",
                     "--ranks, --chunks and --micro-batches are for schedules given by name");
    }
    document = schedule::ReadDocument(source.name_or_file);
  }
  if (!source.channels.empty()) document.channels = schedule::ParseChannels(source.channels, "--channels");
  for (const schedule::CostField& field : schedule::CostFields()) {
    const auto said = source.costs.find(field.name);
    if (said == source.costs.end() || said->second.empty()) continue;
    std::string option = OptionOf(field.name);
    option.resize(std::min(option.find(','), option.size()));
    schedule::SetCost(field, said->second, document.schedule.stages, option, &document.costs);
  }
  schedule::ValidateCosts(document.costs, document.schedule.stages, source.name_or_file);
  return document;
}

std::optional<schedule::ClosedForm> ClosedFormOf(const ScheduleSource& source, const schedule::Document& document) {
  const schedule::Generator* generator = GeneratorOf(source);
  const schedule::Costs& costs = document.costs;
  if (generator == nullptr || !generator->closed_form) return std::nullopt;
  const bool uniform = costs.forward.size() == 1 && costs.input_gradient.size() == 1 &&
                       costs.weight_gradient.size() == 1 && costs.fused.size() <= 1 && costs.backward.empty();
  const bool free_links = costs.latency == 0 && (costs.bandwidth == 0 || costs.message_bytes == schedule::PerStage{0});
  if (!uniform || !free_links) return std::nullopt;
  const schedule::Durations each{costs.forward[0], costs.input_gradient[0], costs.weight_gradient[0], 0};
  schedule::Durations durations = each;
  durations.fused = costs.fused.empty() ? each.forward + each.Backward() : costs.fused[0];
  return generator->closed_form(ShapeOf(source, *generator), durations);
}

std::vector<schedule::Channels> ChannelsOf(const schedule::Document& document) {
  if (document.channels) return {*document.channels};
  return schedule::EveryKindOfChannels();
}

}  // namespace lockstep::cli
