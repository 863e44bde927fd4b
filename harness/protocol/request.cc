#include "harness/protocol/request.h"

#include <set>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 40;

nlohmann::json ScheduleToJson(const Schedule& schedule) {
  nlohmann::json ranks = nlohmann::json::array();
  for (const auto& line : schedule.ranks) ranks.push_back(ToString(line));
  nlohmann::json value = {{"name", schedule.name},
                          {"stages", schedule.stages},
                          {"micro_batches", schedule.micro_batches},
                          {"ranks", ranks}};
  if (!schedule.placement.empty()) value["placement"] = schedule.placement;
  return value;
}

// Optional: a list of stages for each line, every stage on at least one rank and on none twice.
std::vector<std::vector<std::int64_t>> PlacementFromFields(Fields& fields, const Schedule& schedule) {
  std::vector<std::vector<std::int64_t>> placement;
  if (!fields.Has("placement")) return placement;
  const nlohmann::json& value = fields.Raw("placement");
  const auto refuse = [&](const std::string& problem) {
    fields.Refuse("placement", problem,
                  "expected for each of the " + std::to_string(schedule.ranks.size()) +
                      " lines the stages of that rank, such as [[0, 3], [1, 2]]");
  };
  if (!value.is_array() || value.size() != schedule.ranks.size()) refuse("is not a list of that length");
  std::set<std::int64_t> all;
  for (const nlohmann::json& row : value) {
    if (!row.is_array()) refuse("holds " + row.dump());
    std::set<std::int64_t> here;
    std::vector<std::int64_t>& stages = placement.emplace_back();
    for (const nlohmann::json& stage : row) {
      const bool known = stage.is_number_integer() && stage >= 0 && stage < schedule.stages;
      if (!known || !here.insert(stage.get<std::int64_t>()).second) refuse("holds " + row.dump());
      stages.push_back(stage.get<std::int64_t>());
    }
    all.insert(here.begin(), here.end());
  }
  if (std::ssize(all) != schedule.stages) refuse("leaves a stage out");
  return placement;
}

Schedule ScheduleFromFields(Fields fields) {
  Schedule schedule;
  schedule.name = fields.String("name");
  schedule.stages = fields.Int("stages", 1, kMaxCount);
  schedule.micro_batches = fields.Int("micro_batches", 1, kMaxCount);
  for (const std::string& line : fields.Strings("ranks", {})) {
    const std::string where = fields.Path("ranks[" + std::to_string(schedule.ranks.size()) + "]");
    schedule.ranks.push_back(ParseActions(line, where));
    for (const Action& action : schedule.ranks.back()) {
      if (action.stage >= schedule.stages || action.micro_batch >= schedule.micro_batches) {
        throw BadInput(where, ToString(action) + " is outside " + std::to_string(schedule.stages) + " stages and " +
                                  std::to_string(schedule.micro_batches) + " micro-batches");
      }
    }
  }
  schedule.placement = PlacementFromFields(fields, schedule);
  fields.Done();
  return schedule;
}

EvidenceWanted EvidenceFromFields(Fields fields) {
  EvidenceWanted wanted;
  wanted.gradients = fields.Bool("gradients", true);
  wanted.clipped_gradients = fields.Bool("clipped_gradients", true);
  wanted.parameters = fields.Bool("parameters", true);
  wanted.optimizer_state = fields.Bool("optimizer_state", true);
  wanted.ledger = fields.Bool("ledger", true);
  wanted.timeline = fields.Bool("timeline", true);
  wanted.every = fields.Int("every", 1, kMaxCount, 1);
  fields.Done();
  return wanted;
}

CheckpointWanted CheckpointFromFields(Fields fields) {
  CheckpointWanted wanted;
  wanted.save_after = fields.Int("save_after", 0, kMaxCount, 0);
  wanted.sharded = fields.Bool("sharded", false);
  wanted.save_to = fields.String("save_to", "");
  wanted.resume_from = fields.String("resume_from", "");
  wanted.resume_step = fields.Int("resume_step", 0, kMaxCount, 0);
  if (wanted.save_after > 0 && wanted.save_to.empty())
    fields.Refuse("save_to", "is empty", "expected a folder when save_after > 0");
  if (wanted.resume_from.empty() != (wanted.resume_step == 0)) {
    fields.Refuse("resume_step", "and resume_from don't go together", "expected both, or neither");
  }
  fields.Done();
  return wanted;
}

}  // namespace

nlohmann::json RequestToJson(const Request& request) {
  const EvidenceWanted& evidence = request.evidence;
  const CheckpointWanted& checkpoint = request.checkpoint;
  nlohmann::json value{{"protocol", kProtocolVersion},
                       {"id", request.id},
                       {"workload", WorkloadToJson(request.workload)},
                       {"plan", PlanToJson(request.plan)},
                       {"schedule", ScheduleToJson(request.schedule)},
                       {"evidence",
                        {{"gradients", evidence.gradients},
                         {"clipped_gradients", evidence.clipped_gradients},
                         {"parameters", evidence.parameters},
                         {"optimizer_state", evidence.optimizer_state},
                         {"ledger", evidence.ledger},
                         {"every", evidence.every}}},
                       {"checkpoint",
                        {{"save_after", checkpoint.save_after},
                         {"sharded", checkpoint.sharded},
                         {"save_to", checkpoint.save_to},
                         {"resume_from", checkpoint.resume_from},
                         {"resume_step", checkpoint.resume_step}}}};
  if (!evidence.timeline) value["evidence"]["timeline"] = false;
  for (const Delay& delay : request.delays) value["delays"].push_back(DelayToJson(delay));
  return value;
}

Request RequestFromJson(const nlohmann::json& value, const std::string& where) {
  Fields fields(value, where);
  RequireProtocol(fields, kProtocolVersion);
  Request request;
  request.id = fields.String("id");
  request.workload = WorkloadFromJson(fields.Raw("workload"), fields.Path("workload"));
  request.plan = PlanFromJson(fields.Raw("plan"), fields.Path("plan"));
  request.schedule = ScheduleFromFields(fields.Object("schedule"));
  if (fields.Has("evidence")) request.evidence = EvidenceFromFields(fields.Object("evidence"));
  if (fields.Has("checkpoint")) request.checkpoint = CheckpointFromFields(fields.Object("checkpoint"));
  if (fields.Has("delays")) request.delays = DelaysFromFields(fields, request.plan.WorldSize());
  fields.Done();
  RequireKeys(value, RequestToJson(request), where);
  Validate(request.plan, request.workload, fields.Path("plan"));
  const auto lines = static_cast<std::int64_t>(request.schedule.ranks.size());
  if (lines != request.plan.pipeline || request.schedule.stages != request.plan.Stages() ||
      request.schedule.micro_batches != request.plan.micro_batches) {
    fields.Refuse("schedule",
                  "has " + std::to_string(lines) + " lines, " + std::to_string(request.schedule.stages) +
                      " stages and " + std::to_string(request.schedule.micro_batches) + " micro-batches",
                  "expected the plan's " + std::to_string(request.plan.pipeline) + ", " +
                      std::to_string(request.plan.Stages()) + " and " + std::to_string(request.plan.micro_batches));
  }
  if (request.checkpoint.resume_step >= request.workload.steps) {
    fields.Refuse("checkpoint", "resumes after step " + std::to_string(request.checkpoint.resume_step),
                  "expected a step before the last");
  }
  return request;
}

Request ReadRequest(const std::filesystem::path& folder) {
  const auto file = folder / "request.json";
  return RequestFromJson(ReadJson(file), file.string());
}

void WriteRequest(const std::filesystem::path& folder, const Request& request) {
  WriteJson(folder / "request.json", RequestToJson(request), Durability::kRenamed);
}

Run MicroBatchRun(std::int64_t batch_size, const Plan& plan, std::int64_t data_rank, std::int64_t micro_batch) {
  const Run replica = Split(batch_size, plan.data, data_rank);
  const Run run = Split(replica.size, plan.micro_batches, micro_batch);
  return {replica.begin + run.begin, run.size};
}

}  // namespace lockstep::protocol
