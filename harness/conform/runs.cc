#include "harness/conform/runs.h"

#include <nlohmann/json.hpp>
#include <set>

#include "harness/checks/check.h"
#include "harness/protocol/files.h"
#include "harness/schedule/generate.h"

namespace lockstep::conform {
namespace {

constexpr const char* kCheckpoint = "checkpoint";

std::set<std::string> RunsOfChecks(const Case& value) {
  std::set<std::string> runs;
  for (const checks::Check* check : checks::AllChecks()) {
    for (const std::string& name : value.checks) {
      if (check->name == name) runs.insert(check->runs.begin(), check->runs.end());
    }
  }
  return runs;
}

protocol::Plan SinglePlan(const protocol::Plan& plan) {
  protocol::Plan single;
  single.micro_batches = plan.micro_batches;
  return single;
}

protocol::Request RequestOf(const Case& value, const std::string& run, const protocol::Plan& plan) {
  protocol::Request request;
  request.id = value.id + "/" + run;
  request.workload = value.workload;
  request.plan = plan;
  request.schedule = schedule::Generate(plan);
  return request;
}

// Named by what is in it, so that cases that need the same run share one.
Run SharedRun(const Case& value, const std::string& name, protocol::Precision precision) {
  Run run{name, "", RequestOf(value, name, SinglePlan(value.plan)), 0, false};
  run.request.workload.precision = precision;
  const std::string key = protocol::WorkloadToJson(run.request.workload).dump() + ToString(run.request.plan);
  const std::string hash = protocol::Sha256(key).substr(0, 16);
  run.request.id = name + "/" + hash;
  run.folder = std::filesystem::path("runs") / name / hash;
  return run;
}

Run OwnRun(const Case& value, const std::string& name, const protocol::Plan& plan) {
  return {name, std::filesystem::path("runs") / value.id / name, RequestOf(value, name, plan), 0, true};
}

Run ResumedRun(const Case& value, const std::string& name, const protocol::Plan& plan) {
  Run run = OwnRun(value, name, plan);
  run.wave = 1;
  run.request.checkpoint.resume_from = std::string("../candidate/") + kCheckpoint;
  run.request.checkpoint.resume_step = value.resume->save_after;
  return run;
}

}  // namespace

std::vector<Run> RunsOf(const Case& value) {
  const std::set<std::string> needed = RunsOfChecks(value);
  std::vector<Run> runs{OwnRun(value, "candidate", value.plan)};
  runs[0].request.delays = value.delays;
  if (value.resume) {
    protocol::CheckpointWanted& checkpoint = runs[0].request.checkpoint;
    checkpoint.save_after = value.resume->save_after;
    checkpoint.sharded = value.resume->sharded;
    checkpoint.save_to = kCheckpoint;
  }
  if (needed.contains("single")) runs.push_back(SharedRun(value, "single", value.workload.precision));
  if (needed.contains("rerun")) runs.push_back(OwnRun(value, "rerun", value.plan));
  if (needed.contains("variant")) {
    protocol::Plan turned = value.plan;
    turned.overlap = !turned.overlap;
    runs.push_back(OwnRun(value, "variant", turned));
  }
  if (needed.contains("resumed")) runs.push_back(ResumedRun(value, "resumed", value.resume->plan));
  if (needed.contains("resumed_same")) runs.push_back(ResumedRun(value, "resumed_same", value.plan));
  if (value.workload.model.kind == protocol::ModelKind::kOwn) {
    runs.push_back(SharedRun(value, "reference", protocol::Precision::kF64));
  }
  return runs;
}

std::string WhyUnsupported(const protocol::Capabilities& can, const Case& value) {
  for (const Run& run : RunsOf(value)) {
    const std::string why = protocol::WhyUnsupported(can, run.request.workload, run.request.plan);
    if (!why.empty()) return why + (run.name == "candidate" ? "" : " (" + run.name + " run)");
  }
  if (!value.delays.empty() && !can.delays) return "delays made on purpose";
  if (value.resume && value.resume->sharded && !can.checkpoint_sharded) return "sharded checkpoints";
  if (value.resume && !value.resume->sharded && !can.checkpoint_whole) return "whole checkpoints";
  return "";
}

}  // namespace lockstep::conform
