#include "harness/protocol/evidence_files.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/slice_rows.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

template <typename Enum>
Enum OneOf(Fields& fields, const std::string& key, const std::vector<Enum>& values) {
  std::vector<std::string> names;
  for (const Enum value : values) names.emplace_back(NameOf(value));
  fields.Raw(key);  // required
  const std::string name = fields.Choice(key, names, "");
  return values[static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin())];
}

std::vector<std::vector<std::int64_t>> PlacementFrom(Fields& fields) {
  const nlohmann::json& value = fields.Raw("placement");
  const auto is_stage = [](const nlohmann::json& stage) { return stage.is_number_integer() && stage >= 0; };
  const auto is_rank = [&](const nlohmann::json& rank) {
    return rank.is_array() && std::all_of(rank.begin(), rank.end(), is_stage);
  };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_rank)) {
    fields.Refuse("placement", "is " + value.dump(), "expected the stages of each pipeline rank: [[0, 3], [1, 2]]");
  }
  return value.get<std::vector<std::vector<std::int64_t>>>();
}

EffectivePlan EffectiveFrom(Fields fields) {
  EffectivePlan effective;
  // What a trainer leaves out here would pass for the default: everything must be said.
  RequireKeys(fields.Raw("plan"), PlanToJson(Plan{}), fields.Path("plan"));
  effective.plan = PlanFromJson(fields.Raw("plan"), fields.Path("plan"));
  Fields at = fields.Object("at");
  effective.at = {at.Int("data", 0, effective.plan.data - 1), at.Int("tensor", 0, effective.plan.tensor - 1),
                  at.Int("pipeline", 0, effective.plan.pipeline - 1)};
  at.Done();
  effective.precision = OneOf<Precision>(fields, "precision", {Precision::kF64, Precision::kF32, Precision::kBF16});
  effective.optimizer =
      OneOf<OptimizerKind>(fields, "optimizer", {OptimizerKind::kSgd, OptimizerKind::kMomentum, OptimizerKind::kAdamW});
  effective.clip_norm = fields.Number("clip_norm");
  effective.devices = fields.Ints("devices");
  if (fields.Has("placement")) effective.placement = PlacementFrom(fields);
  if (fields.Has("line")) {
    effective.line = fields.String("line");
    ParseActions(effective.line, fields.Path("line"));  // refuses what is none
  }
  fields.Done();
  return effective;
}

std::optional<double> OptionalNumber(Fields& fields, const std::string& key) {
  if (!fields.Has(key) || fields.Raw(key).is_null()) return std::nullopt;
  return fields.Number(key);
}

double Seconds(Fields& fields, const std::string& key) {
  const double seconds = fields.Number(key, 0.0);
  if (!(seconds >= 0)) fields.Refuse(key, "is " + NumberToJson(seconds).dump(), "expected seconds, at least 0");
  return seconds;
}

StepEvent StepEventFrom(Fields& fields) {
  StepEvent event;
  event.step = fields.Int("step", 1, kMax);
  event.loss = OptionalNumber(fields, "loss");
  event.gradient_norm = OptionalNumber(fields, "gradient_norm");
  event.learning_rate = OptionalNumber(fields, "learning_rate");
  event.valid_tokens = fields.Int("valid_tokens", 0, kMax);
  event.wall_seconds = Seconds(fields, "wall_seconds");
  event.busy_seconds = Seconds(fields, "busy_seconds");
  event.idle_seconds = Seconds(fields, "idle_seconds");
  fields.Done();
  return event;
}

MicroBatchEvent MicroBatchEventFrom(Fields& fields) {
  MicroBatchEvent event;
  event.step = fields.Int("step", 1, kMax);
  event.micro_batch = fields.Int("micro_batch", 0, kMax);
  event.samples = fields.Ints("samples");
  event.valid_tokens = fields.Int("valid_tokens", 0, kMax);
  fields.Done();
  return event;
}

}  // namespace

Hello HelloFromJson(const nlohmann::json& value, const std::string& where) {
  Fields fields(value, where);
  Hello hello;
  RequireProtocol(fields, kProtocolVersion);
  hello.rank = fields.Int("rank", 0, kMaxRanks - 1);
  hello.world_size = fields.Int("world_size", 1, kMaxRanks);
  hello.pid = fields.Int("pid", 1, kMax);
  hello.host = fields.String("host");
  Fields device = fields.Object("device");
  device.Raw("kind");  // required
  hello.device_kind = device.Choice("kind", {"host", "gpu", "virtual"}, "");
  hello.device_name = device.String("name");
  device.Done();
  hello.trainer = fields.String("trainer");
  hello.version = fields.String("version");
  if (fields.Has("libraries")) {
    Fields libraries = fields.Object("libraries");
    for (const auto& [name, version] : fields.Raw("libraries").items()) hello.libraries[name] = libraries.String(name);
  }
  if (fields.Has("groups")) {
    Fields groups = fields.Object("groups");
    for (const auto& [name, members] : fields.Raw("groups").items()) hello.groups[name] = groups.Ints(name);
  }
  hello.effective = EffectiveFrom(fields.Object("effective"));
  fields.Done();
  if (std::ssize(hello.effective.devices) != hello.world_size) {
    fields.Refuse("effective.devices", "names " + std::to_string(hello.effective.devices.size()) + " devices",
                  "expected one for each of " + std::to_string(hello.world_size) + " ranks");
  }
  return hello;
}

Done DoneFromJson(const nlohmann::json& value, const std::string& where) {
  Fields fields(value, where);
  Done done;
  done.steps = fields.Int("steps", 0, kMax);
  if (fields.Has("memory")) {
    Fields memory = fields.Object("memory");
    if (memory.Has("categories")) {
      Fields categories = memory.Object("categories");
      for (const auto& [name, bytes] : memory.Raw("categories").items()) {
        done.memory.categories[name] = categories.Int(name, 0, kMax);
      }
    }
    done.memory.peak_bytes = memory.Int("peak_bytes", 0, kMax, 0);
    done.memory.capacity_bytes = memory.Int("capacity_bytes", 0, kMax, 0);
    memory.Done();
  }
  done.wall_seconds = Seconds(fields, "wall_seconds");
  done.busy_seconds = Seconds(fields, "busy_seconds");
  done.idle_seconds = Seconds(fields, "idle_seconds");
  if (fields.Has("error") && !fields.Raw("error").is_null()) done.error = fields.String("error");
  fields.Done();
  return done;
}

void EventsFromText(const std::string& text, const std::string& where, RankEvidence& rank) {
  if (!text.empty() && text.back() != '\n') throw BadInput(where, "ends within a line", "expected whole lines");
  std::size_t begin = 0;
  for (std::int64_t number = 1; begin < text.size(); ++number) {
    const std::size_t end = text.find('\n', begin);
    const std::string line = where + ":" + std::to_string(number);
    const nlohmann::json value = ParseJson(text.substr(begin, end - begin), line);
    Fields fields(value, line);
    const std::string kind = fields.String("event");
    if (kind == "step") {
      rank.steps.push_back(StepEventFrom(fields));
    } else if (kind == "micro_batch") {
      rank.micro_batches.push_back(MicroBatchEventFrom(fields));
    }  // other kinds are the trainer's own
    begin = end + 1;
  }
}

Slice SliceFromMetadata(const std::string& text, const Shape& shape, const std::string& where) {
  const nlohmann::json value = ParseJson(text, where);
  Fields fields(value, where);
  Slice slice{fields.Ints("global_shape"), fields.Ints("offset"), shape};
  fields.Done();
  if (!IsInside(slice)) {
    throw BadInput(where,
                   "puts " + ToString(shape) + " at " + ToString(slice.offset) + " of " + ToString(slice.global_shape),
                   "expected a slice inside the tensor");
  }
  return slice;
}

}  // namespace lockstep::protocol
