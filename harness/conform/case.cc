#include "harness/conform/case.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/checks/check.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"
#include "harness/schedule/generate.h"

namespace lockstep::conform {
namespace {

using protocol::BadInput;

const checks::Check& FindCheck(const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const checks::Check* check : checks::AllChecks()) {
    if (check->name == name) return *check;
    names.push_back(check->name);
  }
  const std::string near = protocol::Nearest(name, names);
  throw BadInput(where + ": checks", "no check is called '" + name + "'",
                 near.empty() ? "see `lockstep list checks`" : "did you mean '" + near + "'?");
}

void ValidateChecks(const Case& value, const std::string& where) {
  if (value.checks.empty()) throw BadInput(where + ": checks", "is empty", "expected at least one check");
  bool resumes = false;
  std::set<std::string> seen;
  for (const std::string& name : value.checks) {
    if (!seen.insert(name).second) throw BadInput(where + ": checks", "'" + name + "' stands twice");
    for (const std::string& run : FindCheck(name, where).runs) resumes = resumes || run.starts_with("resumed");
  }
  if (resumes && !value.resume) throw BadInput(where + ": resume", "is missing", "a check needs a resumed run");
  if (!resumes && value.resume) throw BadInput(where + ": resume", "is there", "but no check looks at a resumed run");
}

void ValidateResume(const Case& value, const std::string& where) {
  if (!value.resume) return;
  if (value.resume->save_after < 1 || value.resume->save_after >= value.workload.steps) {
    throw BadInput(where + ": resume.save_after", "is " + std::to_string(value.resume->save_after),
                   "expected a step before the last, which is step " + std::to_string(value.workload.steps));
  }
  protocol::Validate(value.resume->plan, value.workload, where + ": resume.plan");
  schedule::Generate(value.resume->plan);
}

Resume ReadResume(protocol::Fields fields) {
  Resume resume;
  resume.save_after = fields.Int("save_after", 1, 1 << 30, 1);
  resume.sharded = fields.Bool("sharded", false);
  resume.plan = protocol::ParsePlan(fields.String("plan", ""));
  fields.Done();
  return resume;
}

}  // namespace

Case MakeCase(const std::string& id, const std::string& claim, const protocol::Workload& workload,
              const std::string& plan, const std::vector<std::string>& checks, const std::optional<Resume>& resume,
              const std::string& where) {
  Case value;
  value.plan = protocol::ParsePlan(plan);
  value.id = id + "/" + protocol::ToString(value.plan);
  value.claim = claim;
  value.workload = workload;
  value.checks = checks;
  value.resume = resume;
  protocol::Validate(value.workload, where);
  protocol::Validate(value.plan, value.workload, where + ": plan '" + plan + "'");
  schedule::Generate(value.plan);
  ValidateChecks(value, where);
  ValidateResume(value, where);
  return value;
}

void ValidateDelays(const Case& value, const std::string& where) {
  const protocol::Schedule schedule = schedule::Generate(value.plan);
  for (const protocol::Delay& delay : value.delays) {
    if (delay.step > value.workload.steps) {
      throw BadInput(where + ": delays", "one is of step " + std::to_string(delay.step),
                     "expected a step up to " + std::to_string(value.workload.steps));
    }
    if (protocol::SleepsInStep(delay, value.plan, schedule) > 0) continue;
    throw BadInput(where + ": delays", "one never comes: " + delay.operation + " of rank " + std::to_string(delay.rank),
                   "expected an operation of that rank under " + protocol::ToString(value.plan));
  }
}

std::vector<Case> ReadCaseFile(const std::filesystem::path& file) {
  const nlohmann::json value = protocol::ReadToml(file);
  const std::string where = file.filename();
  protocol::Fields fields(value, where);
  const std::string id = fields.String("id");
  if (id != file.stem())
    fields.Refuse("id", "is '" + id + "'", "expected the file's name, '" + file.stem().string() + "'");
  const std::string claim = fields.String("claim");
  const std::vector<std::string> plans = fields.Strings("plans", {}), checks = fields.Strings("checks", {});
  if (plans.empty()) fields.Refuse("plans", "is missing or empty", "expected at least one plan");
  nlohmann::json tables = nlohmann::json::object();
  for (const char* table : {"model", "optimizer", "data", "training"}) {
    if (fields.Has(table)) tables[table] = value[table];
  }
  protocol::Workload workload = protocol::WorkloadFromJson(tables, where);
  protocol::ResolveFiles(&workload.data, file.parent_path());
  std::optional<Resume> resume;
  if (fields.Has("resume")) resume = ReadResume(fields.Object("resume"));
  std::vector<Case> cases;
  for (const std::string& plan : plans) {
    cases.push_back(MakeCase(id, claim, workload, plan, checks, resume, where));
    cases.back().delays = protocol::DelaysFromFields(fields, cases.back().plan.WorldSize());
    ValidateDelays(cases.back(), where);
    const auto same = [&](const Case& other) { return other.id == cases.back().id; };
    if (std::count_if(cases.begin(), cases.end(), same) > 1) fields.Refuse("plans", "'" + plan + "' stands twice", "");
  }
  fields.Done();
  return cases;
}

nlohmann::json CaseToJson(const Case& value) {
  nlohmann::json json{{"id", value.id},
                      {"claim", value.claim},
                      {"workload", protocol::WorkloadToJson(value.workload)},
                      {"plan", protocol::PlanToJson(value.plan)},
                      {"checks", value.checks}};
  if (value.resume) {
    json["resume"] = {{"save_after", value.resume->save_after},
                      {"sharded", value.resume->sharded},
                      {"plan", protocol::PlanToJson(value.resume->plan)}};
  }
  for (const protocol::Delay& delay : value.delays) json["delays"].push_back(protocol::DelayToJson(delay));
  return json;
}

Case CaseFromJson(const nlohmann::json& json, const std::string& where) {
  protocol::Fields fields(json, where);
  Case value;
  value.id = fields.String("id");
  value.claim = fields.String("claim");
  value.workload = protocol::WorkloadFromJson(fields.Raw("workload"), where + ": workload");
  value.plan = protocol::PlanFromJson(fields.Raw("plan"), where + ": plan");
  value.checks = fields.Strings("checks", {});
  if (fields.Has("resume")) {
    protocol::Fields resume = fields.Object("resume");
    value.resume = Resume{resume.Int("save_after", 1, 1 << 30), resume.Bool("sharded", false),
                          protocol::PlanFromJson(resume.Raw("plan"), where + ": resume.plan")};
    resume.Done();
  }
  value.delays = protocol::DelaysFromFields(fields, value.plan.WorldSize());
  fields.Done();
  ValidateChecks(value, where);
  return value;
}

}  // namespace lockstep::conform
