#include "harness/protocol/plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/tensor.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMaxMicroBatches = 1'000'000;

// A key of the text form, its aliases, and the field of the JSON form that it stands for. ToString writes the first.
struct Key {
  std::vector<std::string> names;
  std::string field;
};

const std::array<Key, 12>& Keys() {
  static const std::array<Key, 12> keys = {{{{"dp", "data"}, "data"},
                                            {{"pp", "pipeline"}, "pipeline"},
                                            {{"tp", "tensor"}, "tensor"},
                                            {{"chunks", "v"}, "chunks"},
                                            {{"micro_batches", "m"}, "micro_batches"},
                                            {{"schedule"}, "schedule"},
                                            {{"sequence_parallel", "sp"}, "sequence_parallel"},
                                            {{"partition"}, "partition"},
                                            {{"zero_stage", "zero"}, "zero_stage"},
                                            {{"recompute"}, "recompute"},
                                            {{"overlap"}, "overlap"},
                                            {{"bucket_bytes", "bucket"}, "bucket_bytes"}}};
  return keys;
}

const Key& KeyNamed(const std::string& name) {
  std::vector<std::string> all;
  for (const Key& key : Keys()) {
    if (std::find(key.names.begin(), key.names.end(), name) != key.names.end()) return key;
    all.insert(all.end(), key.names.begin(), key.names.end());
  }
  const std::string nearest = Nearest(name, all);
  std::string expected = "expected dp, tp, pp, micro_batches, schedule, ...";
  if (!nearest.empty()) expected = "expected \"" + nearest + "\"";
  throw BadInput("plan: " + name, "unknown key", expected);
}

// "2" and "true" as JSON spells them, "2+1+1" as an array, the rest as a string; the strict reader judges the types.
nlohmann::json ValueOf(const std::string& field, const std::string& text) {
  if (text == "true" || text == "false") return text == "true";
  nlohmann::json list = nlohmann::json::array();
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(at, end, number);
    if (error != std::errc() || (stop != end && (*stop != '+' || stop + 1 == end))) return text;
    list.push_back(number);
    at = stop + 1;
  }
  return field == "partition" || list.size() != 1 ? list : list[0];
}

std::string TextOf(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const nlohmann::json& element : value) text += (text.empty() ? "" : "+") + element.dump();
  return text;
}

bool IsIdentifier(const std::string& word) {
  return !word.empty() && word.size() <= 64 &&
         word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

// The smallest number of rows or heads that tensor parallelism has to deal out.
std::int64_t TensorParts(const Model& model) {
  if (model.kind == ModelKind::kGpt) return std::min({model.heads, model.mlp_width, model.vocabulary});
  if (model.kind == ModelKind::kOwn) return kMaxRanks;
  const auto begin = model.sizes.begin() + 1;
  return model.sizes.size() == 2 ? *begin : *std::min_element(begin, model.sizes.end() - 1);
}

// StagePartition(), with the field that a refusal names.
std::vector<std::int64_t> PartitionOf(const Plan& plan, const Model& model, const std::string& where) {
  const std::int64_t units = model.PipelineUnits();
  if (plan.partition.empty()) {
    std::vector<std::int64_t> sizes;
    for (std::int64_t stage = 0; stage < plan.Stages(); ++stage) {
      sizes.push_back(Split(units, plan.Stages(), stage).size);
    }
    return sizes;
  }
  const bool positive = std::all_of(plan.partition.begin(), plan.partition.end(),
                                    [&](std::int64_t size) { return size >= 1 && size <= 1'000'000; });
  const std::int64_t sum =
      positive ? std::accumulate(plan.partition.begin(), plan.partition.end(), std::int64_t{0}) : 0;
  const bool own = model.kind == ModelKind::kOwn;  // only the trainer knows its units
  if (!positive || std::ssize(plan.partition) != plan.Stages() || (!own && sum != units)) {
    throw BadInput(where, "is " + ToString(plan.partition),
                   "expected " + std::to_string(plan.Stages()) + " stages that add up to " + std::to_string(units));
  }
  return plan.partition;
}

}  // namespace

Coordinates Plan::At(std::int64_t rank) const { return {rank / tensor % data, rank % tensor, rank / tensor / data}; }

std::int64_t Plan::RankOf(const Coordinates& at) const { return (at.pipeline * data + at.data) * tensor + at.tensor; }

Plan ParsePlan(const std::string& text) {
  nlohmann::json value = nlohmann::json::object();
  std::size_t begin = 0;
  while (!text.empty() && text != "single" && begin <= text.size()) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string item = text.substr(begin, comma - begin);
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) {
      throw BadInput("plan", "\"" + item + "\" has no '='", "expected \"single\" or KEY=VALUE,KEY=VALUE,...");
    }
    const std::string& field = KeyNamed(item.substr(0, equals)).field;
    if (value.contains(field)) throw BadInput("plan: " + item.substr(0, equals), "given twice");
    value[field] = ValueOf(field, item.substr(equals + 1));
    begin = comma + 1;
  }
  return PlanFromJson(value, "plan");
}

std::string ToString(const Plan& plan) {
  static const nlohmann::json plain = PlanToJson(Plan{});
  const nlohmann::json value = PlanToJson(plan);
  std::string text;
  for (const Key& key : Keys()) {
    const nlohmann::json& field = value[key.field];
    if (field == plain[key.field] || (key.field == "schedule" && plan.pipeline == 1)) continue;
    text += (text.empty() ? "" : ",") + key.names.front() + "=" + TextOf(field);
  }
  return text.empty() ? "single" : text;
}

Plan PlanFromJson(const nlohmann::json& value, const std::string& where) {
  Fields fields(value, where);
  Plan plan;
  plan.data = fields.Int("data", 1, kMaxRanks, plan.data);
  plan.tensor = fields.Int("tensor", 1, kMaxRanks, plan.tensor);
  plan.pipeline = fields.Int("pipeline", 1, kMaxRanks, plan.pipeline);
  plan.chunks = fields.Int("chunks", 1, kMaxRanks, plan.chunks);
  plan.micro_batches = fields.Int("micro_batches", 1, kMaxMicroBatches, plan.micro_batches);
  plan.schedule = fields.String("schedule", plan.schedule);
  plan.sequence_parallel = fields.Bool("sequence_parallel", plan.sequence_parallel);
  plan.partition = fields.Ints("partition", plan.partition);
  plan.zero_stage = fields.Int("zero_stage", 0, 3, plan.zero_stage);
  plan.recompute = fields.Bool("recompute", plan.recompute);
  plan.overlap = fields.Bool("overlap", plan.overlap);
  plan.bucket_bytes = fields.Int("bucket_bytes", 1, std::numeric_limits<std::int64_t>::max(), plan.bucket_bytes);
  fields.Done();
  if (!IsIdentifier(plan.schedule)) {
    fields.Refuse("schedule", "is \"" + plan.schedule + "\"", "expected a schedule's name (`lockstep list schedules`)");
  }
  if (plan.WorldSize() > kMaxRanks) {
    fields.Refuse("data", "data x tensor x pipeline is " + std::to_string(plan.WorldSize()) + " ranks",
                  "expected at most " + std::to_string(kMaxRanks));
  }
  return plan;
}

nlohmann::json PlanToJson(const Plan& plan) {
  return {{"data", plan.data},
          {"tensor", plan.tensor},
          {"pipeline", plan.pipeline},
          {"chunks", plan.chunks},
          {"micro_batches", plan.micro_batches},
          {"schedule", plan.schedule},
          {"sequence_parallel", plan.sequence_parallel},
          {"partition", plan.partition},
          {"zero_stage", plan.zero_stage},
          {"recompute", plan.recompute},
          {"overlap", plan.overlap},
          {"bucket_bytes", plan.bucket_bytes}};
}

Plan ReadPlanToml(const std::filesystem::path& path) {
  const nlohmann::json value = ReadToml(path);
  // The keys stand at the top, or under [plan] as in a request.
  if (value.size() == 1 && value.contains("plan")) return PlanFromJson(value["plan"], path.string() + ": plan");
  return PlanFromJson(value, path.string());
}

std::vector<std::int64_t> StagePartition(const Plan& plan, const Model& model) {
  return PartitionOf(plan, model, "plan: partition");
}

void Validate(const Plan& plan, const Workload& workload, const std::string& where) {
  const auto refuse = [&](const std::string& key, const std::string& problem, const std::string& expected) {
    throw BadInput(FieldPath(where, key), problem, "expected " + expected);
  };
  const Model& model = workload.model;
  const std::int64_t pieces = plan.data * plan.micro_batches;
  if (pieces > workload.global_batch) {
    refuse("micro_batches",
           std::to_string(plan.data) + " replicas of " + std::to_string(plan.micro_batches) + " micro-batches",
           "at most global_batch = " + std::to_string(workload.global_batch) + " of them");
  }
  if (plan.tensor > TensorParts(model)) {
    refuse("tensor", "is " + std::to_string(plan.tensor),
           "at most " + std::to_string(TensorParts(model)) + " (heads, widths, vocabulary)");
  }
  if (plan.sequence_parallel && (plan.tensor == 1 || model.kind == ModelKind::kMlp)) {
    refuse("sequence_parallel", "is true", "false without tensor parallelism or a sequence");
  }
  if (plan.chunks > 1 && plan.pipeline == 1)
    refuse("chunks", "is " + std::to_string(plan.chunks), "1 without a pipeline");
  if (model.kind != ModelKind::kOwn && plan.Stages() > model.PipelineUnits()) {
    refuse("pipeline", "has " + std::to_string(plan.Stages()) + " stages",
           "at most the model's " + std::to_string(model.PipelineUnits()) + " layers");
  }
  PartitionOf(plan, model, FieldPath(where, "partition"));
}

}  // namespace lockstep::protocol
