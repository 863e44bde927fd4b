// What every rank says that it does is what it was asked to do: nothing falls back in silence.
#include <fmt/format.h>

#include <algorithm>

#include "harness/checks/support/verdict.h"
#include "harness/protocol/bad_input.h"

namespace lockstep::checks {

namespace {

using protocol::Plan;
using protocol::RunEvidence;

struct Field {
  std::string name, asked, done;
};

std::string Text(std::int64_t value) { return std::to_string(value); }
std::string Text(bool value) { return value ? "true" : "false"; }
std::string Text(double value) { return fmt::format("{:.17g}", value); }

// Stages of each pipeline rank; their order on a rank says nothing.
std::string Text(std::vector<std::vector<std::int64_t>> placement) {
  std::string text;
  for (std::vector<std::int64_t>& stages : placement) {
    std::sort(stages.begin(), stages.end());
    text += (text.empty() ? "[" : ", [") + List(stages, 64) + "]";
  }
  return text;
}

std::vector<std::int64_t> Partition(const Plan& plan, const protocol::Workload& workload) {
  if (workload.model.kind == protocol::ModelKind::kOwn) return plan.partition;
  try {
    return protocol::StagePartition(plan, workload.model);
  } catch (const protocol::BadInput&) {
    return plan.partition;  // nonsense differs from what was asked, as it should
  }
}

// Fields that have no meaning under the asked plan (a schedule without a pipeline, buckets without replicas) are left
// out.
std::vector<Field> PlanFields(const Plan& asked, const Plan& done, const protocol::Workload& workload) {
  std::vector<Field> fields = {
      {"data", Text(asked.data), Text(done.data)},
      {"tensor", Text(asked.tensor), Text(done.tensor)},
      {"pipeline", Text(asked.pipeline), Text(done.pipeline)},
      {"chunks", Text(asked.chunks), Text(done.chunks)},
      {"micro_batches", Text(asked.micro_batches), Text(done.micro_batches)},
      {"sequence_parallel", Text(asked.sequence_parallel), Text(done.sequence_parallel)},
      {"zero_stage", Text(asked.zero_stage), Text(done.zero_stage)},
      {"recompute", Text(asked.recompute), Text(done.recompute)},
  };
  if (asked.pipeline > 1) {
    fields.push_back({"schedule", asked.schedule, done.schedule});
    fields.push_back({"partition", List(Partition(asked, workload), 64), List(Partition(done, workload), 64)});
  }
  if (asked.data > 1) {
    fields.push_back({"overlap", Text(asked.overlap), Text(done.overlap)});
    fields.push_back({"bucket_bytes", Text(asked.bucket_bytes), Text(done.bucket_bytes)});
  }
  return fields;
}

std::vector<Field> Fields(const RunEvidence& run, std::int64_t rank) {
  const protocol::Request& request = run.request();
  const protocol::Hello& hello = run.ranks().at(static_cast<std::size_t>(rank)).hello;
  const protocol::EffectivePlan& done = hello.effective;
  const protocol::Coordinates at = request.plan.At(rank);
  std::vector<std::int64_t> devices;
  for (std::int64_t d = 0; d < request.plan.WorldSize(); ++d) devices.push_back(d);
  std::vector<Field> fields = {
      {"rank", Text(rank), Text(hello.rank)},
      {"world_size", Text(request.plan.WorldSize()), Text(hello.world_size)},
      {"at.data", Text(at.data), Text(done.at.data)},
      {"at.tensor", Text(at.tensor), Text(done.at.tensor)},
      {"at.pipeline", Text(at.pipeline), Text(done.at.pipeline)},
      {"precision", std::string(NameOf(request.workload.precision)), std::string(NameOf(done.precision))},
      {"optimizer", std::string(NameOf(request.workload.optimizer.kind)), std::string(NameOf(done.optimizer))},
      {"clip_norm", Text(request.workload.optimizer.clip_norm), Text(done.clip_norm)},
      {"devices", List(devices, 64), List(done.devices, 64)},
  };
  if (request.plan.pipeline > 1 && !done.placement.empty()) {
    fields.push_back({"placement", Text(protocol::PlacementOf(request.schedule)), Text(done.placement)});
  }
  for (Field& field : PlanFields(request.plan, done.plan, request.workload)) {
    field.name = "plan." + field.name;
    fields.push_back(std::move(field));
  }
  return fields;
}

void CompareRun(const RunEvidence& run, const std::string& name, Verdict& verdict) {
  for (std::size_t r = 0; r < run.ranks().size(); ++r) {
    const auto rank = static_cast<std::int64_t>(r);
    for (const Field& field : Fields(run, rank)) {
      verdict.Count(1);
      if (field.asked == field.done) continue;
      std::string words = fmt::format("{} of {} is {}, asked for {}", field.name, name, field.done, field.asked);
      if (field.name == "clip_norm" && field.asked == "0") words += ": gradients are clipped though nobody asked";
      verdict.Report({0, "plan", field.name, rank, -1}, words);
    }
  }
}

protocol::CheckResult Run(const Input& input) {
  Verdict verdict;
  CompareRun(*input.runs.candidate, "the run", verdict);
  if (input.runs.single != nullptr) CompareRun(*input.runs.single, "the single run", verdict);
  if (input.runs.rerun != nullptr) CompareRun(*input.runs.rerun, "the rerun", verdict);
  if (input.runs.variant != nullptr) CompareRun(*input.runs.variant, "the run with overlap turned round", verdict);
  if (input.runs.resumed != nullptr) CompareRun(*input.runs.resumed, "the resumed run", verdict);
  if (input.runs.resumed_same != nullptr) CompareRun(*input.runs.resumed_same, "the run resumed in place", verdict);
  return verdict.Finish();
}

}  // namespace

extern const Check check_effective_plan;
const Check check_effective_plan = MakeCheck(
    "effective_plan", "exact",
    "Every rank does what the request asks: degrees, schedule, precision, optimizer, clipping, devices.", {}, Run);

}  // namespace lockstep::checks
