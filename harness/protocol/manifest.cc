#include "harness/protocol/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/request.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;

// Degrees and flags, each with the spelling of the field; one list for reading and writing.
template <typename C, typename Int, typename Bool, typename List>
void ForEachField(C& c, Int number, Bool flag, List list) {
  list("models", c.models);
  list("losses", c.losses);
  list("optimizers", c.optimizers);
  list("precisions", c.precisions);
  list("schedules", c.schedules);
  list("data_forms", c.data_forms);
  number("max_data", c.max_data);
  number("max_tensor", c.max_tensor);
  number("max_pipeline", c.max_pipeline);
  number("max_chunks", c.max_chunks);
  number("max_micro_batches", c.max_micro_batches);
  flag("sequence_parallel", c.sequence_parallel);
  flag("dropout", c.dropout);
  flag("tied", c.tied);
  flag("clipping", c.clipping);
  flag("checkpoint_whole", c.checkpoint_whole);
  flag("checkpoint_sharded", c.checkpoint_sharded);
  flag("uneven_micro_batches", c.uneven_micro_batches);
  flag("uneven_tensor_split", c.uneven_tensor_split);
  flag("recompute", c.recompute);
  flag("delays", c.delays);
}

bool Holds(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool Contains(const std::vector<std::string>& command, const std::string& placeholder) {
  return std::any_of(command.begin(), command.end(),
                     [&](const std::string& word) { return word.find(placeholder) != std::string::npos; });
}

// A {word} in an argument that is no placeholder is a misspelt one.
void RefuseUnknownPlaceholders(const Fields& fields, const std::string& key, const std::string& word) {
  static const std::vector<std::string> kKnown = {"{world_size}", "{requests}", "{manifest_dir}", "{bin}",
                                                  "{cache}",      "{python}",   "{fault}"};
  for (std::size_t open = word.find('{'); open != std::string::npos; open = word.find('{', open + 1)) {
    const std::size_t close = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", open + 1);
    if (close == std::string::npos || word[close] != '}' || close == open + 1) continue;
    const std::string placeholder = word.substr(open, close - open + 1);
    if (Holds(kKnown, placeholder)) continue;
    const std::string nearest = Nearest(placeholder, kKnown);
    fields.Refuse(key, "holds the unknown placeholder " + placeholder,
                  nearest.empty() ? "expected {world_size}, {requests}, {bin}, ..." : "expected " + nearest);
  }
}

// A command that has each of `required` in it.
std::vector<std::string> CommandFrom(Fields& fields, const std::string& key, const std::vector<std::string>& required) {
  const std::vector<std::string> command = fields.Strings(key, {});
  if (command.empty()) fields.Refuse(key, "is missing", "expected a command as an array of strings");
  for (const std::string& word : command) RefuseUnknownPlaceholders(fields, key, word);
  for (const std::string& placeholder : required) {
    // {requests} becomes one argument a request, so it can't be part of another.
    const bool there = placeholder == "{requests}" ? Holds(command, placeholder) : Contains(command, placeholder);
    if (!there) fields.Refuse(key, "has no " + placeholder, "expected a command with " + placeholder + " in it");
  }
  return command;
}

std::string ModelName(const Model& model) {
  return model.kind == ModelKind::kOwn ? "own:" + model.own_name : std::string(NameOf(model.kind));
}

// Any size that tensor parallelism cuts and that its ranks can't share evenly.
bool SplitsUnevenly(const Model& model, std::int64_t tensor) {
  if (model.kind == ModelKind::kGpt) {
    return model.heads % tensor != 0 || model.mlp_width % tensor != 0 || model.vocabulary % tensor != 0;
  }
  return std::any_of(model.sizes.begin(), model.sizes.end(), [&](std::int64_t size) { return size % tensor != 0; });
}

// The form in which the harness gives this data: text and token files as one stream.
std::string_view FormOf(const Workload& workload) {
  return workload.model.kind == ModelKind::kGpt && workload.data.kind == DataKind::kFile ? "stream" : "samples";
}

// Some step's micro-batches differ in size.
bool MicroBatchesDiffer(const Workload& workload, const Plan& plan) {
  return workload.global_batch % (plan.data * plan.micro_batches) != 0 || workload.data.epochs;
}

}  // namespace

Manifest ReadManifest(const std::filesystem::path& file) { return ManifestFromJson(ReadToml(file), file); }

Manifest ManifestFromJson(const nlohmann::json& value, const std::filesystem::path& file) {
  Fields fields(value, file.string());
  Manifest manifest;
  manifest.file = file;
  manifest.name = fields.String("name");
  if (manifest.name.empty()) fields.Refuse("name", "is empty", "expected the trainer's name");
  manifest.summary = fields.String("summary", "");
  RequireProtocol(fields, kProtocolVersion);
  manifest.describe = CommandFrom(fields, "describe", {});
  manifest.launch = CommandFrom(fields, "launch", {"{requests}"});
  if (fields.Has("faulty_launch") != fields.Has("faults")) {
    fields.Refuse("faults", "and faulty_launch don't go together", "expected both, or neither");
  }
  if (fields.Has("faults")) {
    manifest.faulty_launch = CommandFrom(fields, "faulty_launch", {"{requests}", "{fault}"});
    manifest.faults = CommandFrom(fields, "faults", {});
  }
  manifest.requests_per_launch = fields.Int("requests_per_launch", 1, kMaxCount, 1);
  manifest.start_seconds = fields.Number("start_seconds", manifest.start_seconds);
  if (!(manifest.start_seconds > 0 && manifest.start_seconds <= 86400)) {
    fields.Refuse("start_seconds", "is out of range", "expected seconds, up to a day");
  }
  manifest.setup = fields.String("setup", "");
  if (fields.Has("environment")) {
    Fields environment = fields.Object("environment");
    for (const auto& [key, text] : fields.Raw("environment").items()) {
      manifest.environment[key] = environment.String(key);
    }
  }
  for (const Fields& row : fields.Objects("waivers")) manifest.waivers.push_back(WaiverFromFields(row));
  fields.Done();
  return manifest;
}

Waiver WaiverFromFields(Fields fields) {
  const Waiver waiver{fields.String("case", ""), fields.String("check", ""), fields.String("cause", ""),
                      fields.String("reason", "")};
  const bool has_case = fields.Has("case"), has_cause = fields.Has("cause"), has_reason = fields.Has("reason");
  fields.Done();  // first, so that a misspelt key is named for what it is
  const auto demand = [&](const char* key, bool there, const std::string& text, const char* expected) {
    if (!there) fields.Refuse(key, "is missing", expected);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) fields.Refuse(key, "is blank", expected);
  };
  demand("case", has_case, waiver.case_id, "expected a case's id, or its beginning and '*'");
  demand("cause", has_cause, waiver.cause, "expected words that the diagnosis must hold");
  demand("reason", has_reason, waiver.reason, "expected why this difference is accepted");
  return waiver;
}

nlohmann::json WaiverToJson(const Waiver& waiver) {
  return {{"case", waiver.case_id}, {"check", waiver.check}, {"cause", waiver.cause}, {"reason", waiver.reason}};
}

Capabilities CapabilitiesFromJson(const nlohmann::json& value, const std::string& where) {
  Fields fields(value, where);
  Capabilities can;
  can.name = fields.String("name");
  can.version = fields.String("version");
  RequireProtocol(fields, kProtocolVersion);
  ForEachField(
      can, [&](const char* key, std::int64_t& field) { field = fields.Int(key, 1, kMaxCount, 1); },
      [&](const char* key, bool& field) { field = fields.Bool(key, false); },
      [&](const char* key, std::vector<std::string>& field) { field = fields.Strings(key, {}); });
  can.zero_stages = fields.Ints("zero_stages", {0});
  fields.Done();
  return can;
}

nlohmann::json CapabilitiesToJson(const Capabilities& can) {
  nlohmann::json value{
      {"name", can.name}, {"version", can.version}, {"protocol", can.protocol}, {"zero_stages", can.zero_stages}};
  const auto put = [&](const char* key, const auto& field) { value[key] = field; };
  ForEachField(can, put, put, put);
  return value;
}

std::string WhyUnsupported(const Capabilities& can, const Workload& workload, const Plan& plan) {
  const Model& model = workload.model;
  const auto degree = [](const char* what, std::int64_t asked, std::int64_t most) {
    return asked <= most ? ""
                         : std::string(what) + " " + std::to_string(asked) + " (at most " + std::to_string(most) + ")";
  };
  const auto named = [](const char* what, std::string_view name, const std::vector<std::string>& list) {
    return Holds(list, name) ? "" : std::string(what) + " " + std::string(name);
  };
  const auto flag = [](bool needed, bool able, const std::string& what) { return needed && !able ? what : ""; };
  const bool own = model.kind == ModelKind::kOwn;
  const std::vector<std::string> reasons{
      named("model", ModelName(model), can.models),
      own ? "" : named("loss", NameOf(model.loss), can.losses),
      own ? "" : named("form of data", FormOf(workload), can.data_forms),
      named("optimizer", NameOf(workload.optimizer.kind), can.optimizers),
      named("precision", NameOf(workload.precision), can.precisions),
      plan.pipeline > 1 && !Holds(can.schedules, "any") ? named("schedule", plan.schedule, can.schedules) : "",
      degree("data-parallel degree", plan.data, can.max_data),
      degree("tensor-parallel degree", plan.tensor, can.max_tensor),
      degree("pipeline-parallel degree", plan.pipeline, can.max_pipeline),
      degree("chunks", plan.chunks, can.max_chunks),
      degree("micro-batches", plan.micro_batches, can.max_micro_batches),
      flag(plan.sequence_parallel, can.sequence_parallel, "sequence parallel"),
      flag(model.dropout > 0, can.dropout, "dropout"),
      flag(model.kind == ModelKind::kGpt && model.tied, can.tied, "tied weights"),
      flag(workload.optimizer.clip_norm > 0, can.clipping, "clipping"),
      flag(plan.recompute, can.recompute, "recomputation"),
      flag(plan.data * plan.micro_batches > 1 && MicroBatchesDiffer(workload, plan), can.uneven_micro_batches,
           "micro-batches of different size"),
      flag(plan.tensor > 1 && SplitsUnevenly(model, plan.tensor), can.uneven_tensor_split, "an uneven tensor split"),
      flag(plan.zero_stage > 0,
           std::find(can.zero_stages.begin(), can.zero_stages.end(), plan.zero_stage) != can.zero_stages.end(),
           "ZeRO stage " + std::to_string(plan.zero_stage))};
  for (const std::string& reason : reasons) {
    if (!reason.empty()) return reason;
  }
  return "";
}

}  // namespace lockstep::protocol
