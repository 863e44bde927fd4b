#include "harness/protocol/plan.h"

#include <numeric>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/protocol/tensor.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;

// Short spellings of the text form.
const std::vector<std::pair<std::string, std::string>> kAliases{{"dp", "data"},         {"tp", "tensor"},
                                                                {"pp", "pipeline"},     {"v", "chunks"},
                                                                {"m", "micro_batches"}, {"sp", "sequence_parallel"},
                                                                {"zero", "zero_stage"}, {"bucket", "bucket_bytes"}};

nlohmann::json ValueOf(const std::string& key, const std::string& text, const std::string& where) {
  if (key == "schedule") return text;
  if (text == "true" || text == "false") return text == "true";
  std::vector<std::int64_t> numbers;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find('+', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    if (part.empty() || part.size() > 15 || part.find_first_not_of("0123456789") != std::string::npos) {
      throw BadInput(where, key + " is \"" + text + "\"",
                     "expected an integer, true or false, or stages such as 2+1+1");
    }
    numbers.push_back(std::stoll(part));
    begin = end + 1;
  }
  if (key == "partition") return numbers;
  if (numbers.size() != 1) throw BadInput(where, key + " is \"" + text + "\"", "expected one integer");
  return numbers[0];
}

void Require(bool holds, const std::string& where, const std::string& problem, const std::string& expected) {
  if (!holds) throw BadInput(where, problem, expected);
}

}  // namespace

Coordinates Plan::At(std::int64_t rank) const { return {rank / tensor % data, rank % tensor, rank / tensor / data}; }

std::int64_t Plan::RankOf(const Coordinates& at) const { return (at.pipeline * data + at.data) * tensor + at.tensor; }

Plan ParsePlan(const std::string& text) {
  nlohmann::json object = nlohmann::json::object();
  const std::string where = "plan \"" + text + "\"";
  std::size_t begin = 0;
  while (text != "single" && begin < text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw BadInput(where, "\"" + part + "\" is not KEY=VALUE",
                     "expected a plan such as dp=2,pp=2,tp=2,micro_batches=4");
    }
    std::string key = part.substr(0, equals);
    for (const auto& [alias, name] : kAliases) {
      if (key == alias) key = name;
    }
    if (object.contains(key)) throw BadInput(where, key + " is given twice");
    object[key] = ValueOf(key, part.substr(equals + 1), where);
    begin = end + 1;
  }
  return PlanFromJson(object, where);
}

std::string ToString(const Plan& plan) {
  const Plan one;
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ",") + part; };
  if (plan.data != 1) add("dp=" + std::to_string(plan.data));
  if (plan.pipeline != 1) add("pp=" + std::to_string(plan.pipeline));
  if (plan.tensor != 1) add("tp=" + std::to_string(plan.tensor));
  if (plan.chunks != 1) add("chunks=" + std::to_string(plan.chunks));
  if (plan.micro_batches != 1) add("micro_batches=" + std::to_string(plan.micro_batches));
  if (plan.pipeline != 1 && plan.schedule != one.schedule) add("schedule=" + plan.schedule);
  if (plan.sequence_parallel) add("sequence_parallel=true");
  if (!plan.partition.empty()) {
    std::string stages;
    for (const std::int64_t units : plan.partition) stages += (stages.empty() ? "" : "+") + std::to_string(units);
    add("partition=" + stages);
  }
  if (plan.zero_stage != 0) add("zero_stage=" + std::to_string(plan.zero_stage));
  if (plan.recompute) add("recompute=true");
  if (plan.overlap != one.overlap) add("overlap=false");
  if (plan.bucket_bytes != one.bucket_bytes) add("bucket_bytes=" + std::to_string(plan.bucket_bytes));
  return text.empty() ? "single" : text;
}

Plan PlanFromJson(const nlohmann::json& value, const std::string& where) {
  Fields fields(value, where);
  Plan plan;
  plan.data = fields.Int("data", 1, kMaxRanks, 1);
  plan.tensor = fields.Int("tensor", 1, kMaxRanks, 1);
  plan.pipeline = fields.Int("pipeline", 1, kMaxRanks, 1);
  plan.chunks = fields.Int("chunks", 1, kMaxRanks, 1);
  plan.micro_batches = fields.Int("micro_batches", 1, kMaxCount, 1);
  plan.schedule = fields.String("schedule", plan.schedule);
  plan.sequence_parallel = fields.Bool("sequence_parallel", false);
  plan.partition = fields.Ints("partition", std::vector<std::int64_t>{});
  plan.zero_stage = fields.Int("zero_stage", 0, 3, 0);
  plan.recompute = fields.Bool("recompute", false);
  plan.overlap = fields.Bool("overlap", true);
  plan.bucket_bytes = fields.Int("bucket_bytes", 1, kMaxCount, plan.bucket_bytes);
  fields.Done();
  Require(plan.WorldSize() <= kMaxRanks, where, std::to_string(plan.WorldSize()) + " ranks",
          "expected at most " + std::to_string(kMaxRanks));
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

Plan ReadPlanToml(const std::filesystem::path& path) { return PlanFromJson(ReadToml(path), path.string() + ": plan"); }

std::vector<std::int64_t> StagePartition(const Plan& plan, const Model& model) {
  const std::int64_t units = model.PipelineUnits(), stages = plan.Stages();
  if (plan.partition.empty()) {
    std::vector<std::int64_t> even;
    for (std::int64_t stage = 0; stage < stages; ++stage) even.push_back(Split(units, stages, stage).size);
    return even;
  }
  const auto listed = static_cast<std::int64_t>(plan.partition.size());
  Require(listed == stages, "plan.partition", "names " + std::to_string(listed) + " stages",
          "expected " + std::to_string(stages));
  std::int64_t sum = 0;
  for (const std::int64_t part : plan.partition) {
    Require(part >= 1 && part <= units, "plan.partition", "holds " + std::to_string(part),
            "expected at least 1 unit a stage");
    sum += part;
  }
  Require(sum == units, "plan.partition", "adds up to " + std::to_string(sum),
          "expected the model's " + std::to_string(units) + " units");
  return plan.partition;
}

void Validate(const Plan& plan, const Workload& workload, const std::string& where) {
  const Model& model = workload.model;
  const std::int64_t shares = plan.data * plan.micro_batches;
  Require(workload.global_batch >= shares, where,
          "a global batch of " + std::to_string(workload.global_batch) + " for " + std::to_string(plan.data) +
              " replicas of " + std::to_string(plan.micro_batches) + " micro-batches",
          "expected at least " + std::to_string(shares) + " samples");
  Require(!plan.sequence_parallel || (plan.tensor > 1 && model.kind == ModelKind::kGpt), where,
          "sequence_parallel without tensor parallel over a gpt",
          "expected tensor > 1 and a gpt, or sequence_parallel = false");
  if (model.kind == ModelKind::kOwn) return;
  Require(model.PipelineUnits() >= plan.Stages(), where,
          std::to_string(plan.Stages()) + " stages for " + std::to_string(model.PipelineUnits()) + " layers",
          "expected at most as many stages as layers");
  StagePartition(plan, model);
  if (model.kind == ModelKind::kGpt) {
    Require(model.heads >= plan.tensor, where,
            std::to_string(plan.tensor) + " tensor ranks for " + std::to_string(model.heads) + " heads",
            "expected at most as many tensor ranks as heads");
  }
}

}  // namespace lockstep::protocol
