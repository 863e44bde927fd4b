#include "harness/protocol/evidence.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMax = INT64_MAX;
constexpr std::uint64_t kMaxEvents = std::uint64_t{4} << 30;

template <typename E>
E EnumByName(Fields& fields, const std::string& key, const std::vector<E>& values) {
  std::vector<std::string> names;
  for (const E value : values) names.emplace_back(NameOf(value));
  const std::string name = fields.Choice(key, names, "");
  return values[static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin())];
}

EffectivePlan ReadEffective(Fields fields) {
  EffectivePlan effective;
  effective.plan = PlanFromJson(fields.Raw("plan"), fields.where() + ".plan");
  Fields at = fields.Object("at");
  effective.at = {at.Int("data", 0, kMax), at.Int("tensor", 0, kMax), at.Int("pipeline", 0, kMax)};
  effective.precision =
      EnumByName<Precision>(fields, "precision", {Precision::kF64, Precision::kF32, Precision::kBF16});
  effective.optimizer = EnumByName<OptimizerKind>(
      fields, "optimizer", {OptimizerKind::kSgd, OptimizerKind::kMomentum, OptimizerKind::kAdamW});
  effective.clip_norm = fields.Number("clip_norm");
  effective.devices = fields.Ints("devices");
  return effective;
}

Hello ReadHello(const std::filesystem::path& file) {
  const nlohmann::json value = ReadJson(file);
  Fields fields(value, file.string() + ": hello");
  Hello hello;
  if (const auto version = fields.Int("protocol", 0, kMax); version != kProtocolVersion) {
    fields.Refuse("protocol", "is " + std::to_string(version), "expected " + std::to_string(kProtocolVersion));
  }
  hello.rank = fields.Int("rank", 0, kMax);
  hello.world_size = fields.Int("world_size", 1, kMax);
  hello.pid = fields.Int("pid", 1, kMax);
  hello.host = fields.String("host");
  Fields device = fields.Object("device");
  hello.device_kind = device.Choice("kind", {"host", "gpu", "virtual"}, "");
  hello.device_name = device.String("name");
  hello.trainer = fields.String("trainer");
  hello.version = fields.String("version");
  if (fields.Has("libraries")) {
    Fields libraries = fields.Object("libraries");
    for (const auto& [name, version] : value["libraries"].items()) hello.libraries[name] = libraries.String(name);
  }
  hello.effective = ReadEffective(fields.Object("effective"));
  return hello;
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

StepEvent ReadStepEvent(Fields& fields) {
  StepEvent event;
  event.step = fields.Int("step", 1, kMax);
  event.loss = OptionalNumber(fields, "loss");
  event.gradient_norm = OptionalNumber(fields, "gradient_norm");
  event.learning_rate = OptionalNumber(fields, "learning_rate");
  event.valid_tokens = fields.Int("valid_tokens", 0, kMax);
  event.wall_seconds = Seconds(fields, "wall_seconds");
  event.busy_seconds = Seconds(fields, "busy_seconds");
  event.idle_seconds = Seconds(fields, "idle_seconds");
  return event;
}

void ReadEvents(const std::filesystem::path& file, RankEvidence* rank) {
  const std::string text = ReadTextFile(file, kMaxEvents);
  if (!text.empty() && text.back() != '\n') throw BadInput(file.string(), "ends within a line", "expected whole lines");
  std::size_t begin = 0;
  for (std::int64_t number = 1; begin < text.size(); ++number) {
    const std::size_t end = text.find('\n', begin);
    const std::string where = file.string() + ": line " + std::to_string(number);
    const nlohmann::json value = ParseJson(text.substr(begin, end - begin), where);
    Fields fields(value, where);
    const std::string kind = fields.String("event");
    if (kind == "step") {
      rank->steps.push_back(ReadStepEvent(fields));
    } else if (kind == "micro_batch") {
      rank->micro_batches.push_back({fields.Int("step", 1, kMax), fields.Int("micro_batch", 0, kMax),
                                     fields.Ints("samples"), fields.Int("valid_tokens", 0, kMax)});
    }
    begin = end + 1;
  }
}

Done ReadDone(const std::filesystem::path& file) {
  const nlohmann::json value = ReadJson(file);
  Fields fields(value, file.string() + ": done");
  Done done;
  done.steps = fields.Int("steps", 0, kMax);
  if (fields.Has("memory")) {
    Fields memory = fields.Object("memory");
    if (memory.Has("categories")) {
      Fields categories = memory.Object("categories");
      for (const auto& [name, bytes] : value["memory"]["categories"].items()) {
        done.memory.categories[name] = categories.Int(name, 0, kMax);
      }
    }
    done.memory.peak_bytes = memory.Int("peak_bytes", 0, kMax, 0);
    done.memory.capacity_bytes = memory.Int("capacity_bytes", 0, kMax, 0);
  }
  done.wall_seconds = Seconds(fields, "wall_seconds");
  done.busy_seconds = Seconds(fields, "busy_seconds");
  done.idle_seconds = Seconds(fields, "idle_seconds");
  if (fields.Has("error") && !fields.Raw("error").is_null()) done.error = fields.String("error");
  return done;
}

void CheckRank(const RankEvidence& evidence, std::int64_t rank, const Request& request, const std::string& where) {
  const std::int64_t world = request.plan.WorldSize();
  if (evidence.hello.rank != rank || evidence.hello.world_size != world) {
    throw BadInput(
        where + "/hello.json",
        "is of rank " + std::to_string(evidence.hello.rank) + " of " + std::to_string(evidence.hello.world_size),
        "expected rank " + std::to_string(rank) + " of " + std::to_string(world));
  }
  if (evidence.done->error) throw BadInput(where + "/done.json: done.error", *evidence.done->error);
  const std::int64_t first = request.checkpoint.resume_step + 1, steps = request.workload.steps;
  std::int64_t next = first;
  for (const StepEvent& event : evidence.steps) {
    const std::string field = where + "/events.jsonl: step " + std::to_string(event.step);
    if (event.step != next) throw BadInput(field, "is out of order", "expected step " + std::to_string(next));
    if (!event.gradient_norm) throw BadInput(field + ".gradient_norm", "is missing");
    if (!event.learning_rate) throw BadInput(field + ".learning_rate", "is missing");
    const bool last_stage = evidence.hello.effective.at.pipeline == (request.plan.Stages() - 1) % request.plan.pipeline;
    if (last_stage && !event.loss) throw BadInput(field + ".loss", "is missing", "required of ranks of the last stage");
    ++next;
  }
  if (next != steps + 1) {
    throw BadInput(where + "/events.jsonl", "has steps " + std::to_string(first) + " to " + std::to_string(next - 1),
                   "expected steps to " + std::to_string(steps));
  }
  if (evidence.done->steps != steps) {
    throw BadInput(where + "/done.json: done.steps", "is " + std::to_string(evidence.done->steps),
                   "expected " + std::to_string(steps));
  }
}

}  // namespace

RunEvidence RunEvidence::Read(const std::filesystem::path& request_folder, const Request& request) {
  RunEvidence run;
  run.folder_ = request_folder;
  run.request_ = request;
  for (std::int64_t rank = 0; rank < request.plan.WorldSize(); ++rank) {
    const auto folder = RankFolder(request_folder, rank);
    RankEvidence evidence;
    evidence.hello = ReadHello(folder / "hello.json");
    ReadEvents(folder / "events.jsonl", &evidence);
    evidence.done = ReadDone(folder / "done.json");
    CheckRank(evidence, rank, request, folder.string());
    run.ranks_.push_back(std::move(evidence));
  }
  return run;
}

const SafetensorsFile& RunEvidence::Step(std::int64_t rank, std::int64_t step) const {
  auto& file = files_[{rank, step}];
  if (!file)
    file = std::make_shared<SafetensorsFile>(SafetensorsFile::Open(RankFolder(folder_, rank) / StepFileName(step)));
  return *file;
}

Slice RunEvidence::SliceOf(std::int64_t rank, std::int64_t step, const std::string& tensor) const {
  const SafetensorsFile& file = Step(rank, step);
  const std::string where = file.name() + ": __metadata__." + tensor;
  const auto found = file.metadata().find(tensor);
  if (found == file.metadata().end()) throw BadInput(where, "is missing", "expected the tensor's slice");
  const nlohmann::json value = ParseJson(found->second, where);
  Fields fields(value, where);
  Slice slice{fields.Ints("global_shape"), fields.Ints("offset"), file.At(tensor).shape};
  fields.Done();
  bool inside = slice.offset.size() == slice.global_shape.size() && slice.shape.size() == slice.global_shape.size();
  for (std::size_t d = 0; inside && d < slice.shape.size(); ++d) {
    inside =
        slice.offset[d] >= 0 && slice.global_shape[d] >= 0 && slice.offset[d] <= slice.global_shape[d] - slice.shape[d];
  }
  if (!inside) {
    throw BadInput(
        where,
        "puts " + ToString(slice.shape) + " at " + ToString(slice.offset) + " of " + ToString(slice.global_shape),
        "expected a slice inside the tensor");
  }
  return slice;
}

std::vector<double> RunEvidence::Gather(std::int64_t step, const std::string& tensor, const Shape& global_shape) const {
  Tensor whole = Tensor::Zeros(DType::kF64, global_shape);
  Tensor covered = Tensor::Zeros(DType::kU8, global_shape);
  for (std::int64_t rank = request_.plan.WorldSize() - 1; rank >= 0; --rank) {  // the lowest rank's counts
    const SafetensorsFile& file = Step(rank, step);
    if (!file.Contains(tensor)) continue;
    const Slice slice = SliceOf(rank, step, tensor);
    if (slice.global_shape != global_shape) {
      throw BadInput(file.name() + ": __metadata__." + tensor, "has global shape " + ToString(slice.global_shape),
                     "expected " + ToString(global_shape));
    }
    const Tensor part = file.Load(tensor);
    Insert(Tensor::FromDoubles(DType::kF64, part.shape, part.ToDoubles()), slice, whole);
    const std::vector<std::byte> ones(static_cast<std::size_t>(part.size()), std::byte{1});
    Insert(Tensor{DType::kU8, part.shape, ones}, slice, covered);
  }
  const auto hole = std::find(covered.bytes.begin(), covered.bytes.end(), std::byte{0});
  if (hole != covered.bytes.end()) {
    throw BadInput(folder_.string() + ": step " + std::to_string(step) + ": " + tensor,
                   "is held by no rank at element " + std::to_string(hole - covered.bytes.begin()),
                   "expected every element of " + ToString(global_shape));
  }
  return whole.ToDoubles();
}

std::vector<std::string> RunEvidence::TensorNames(std::int64_t step) const {
  std::set<std::string> names;
  for (std::int64_t rank = 0; rank < request_.plan.WorldSize(); ++rank) {
    for (const auto& [name, entry] : Step(rank, step).entries()) names.insert(name);
  }
  return {names.begin(), names.end()};
}

double RunEvidence::Loss(std::int64_t step) const {
  for (const RankEvidence& rank : ranks_) {
    for (const StepEvent& event : rank.steps) {
      if (event.step == step && event.loss) return *event.loss;
    }
  }
  throw BadInput(folder_.string() + ": step " + std::to_string(step) + ".loss", "is missing");
}

}  // namespace lockstep::protocol
