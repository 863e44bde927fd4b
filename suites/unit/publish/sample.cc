#include "suites/unit/publish/sample.h"

#include "harness/publish/publish.h"
#include "harness/publish/system.h"

namespace lockstep::publish {
namespace {

using nlohmann::json;
using protocol::CaseResult;
using protocol::CheckResult;
using protocol::Record;
using protocol::Status;

CheckResult Check(const std::string& name, const std::string& equality_class, double measured, double bound) {
  CheckResult check;
  check.check = name;
  check.equality_class = equality_class;
  check.measured = measured;
  check.bound = bound;
  check.margin = measured > 0 && bound > 0 ? bound / measured : 0;
  check.compared = 12345;
  check.status = measured <= bound ? Status::kPass : Status::kFail;
  return check;
}

CaseResult NotPassing(const std::string& name, const std::string& plan, Status status, const std::string& reason) {
  CaseResult result = PassingCase(name, plan);
  result.status = status;
  result.reason = reason;
  result.checks.clear();
  result.deciding_check = -1;
  return result;
}

CaseResult FailingCase() {
  CaseResult result = PassingCase("dp.uneven_tokens", "dp=2");
  result.status = Status::kFail;
  result.claim = "The loss is the mean over all valid tokens, however unevenly replicas hold them.";
  CheckResult check = Check("noise_ratio", "T", 4812.3, 3);
  check.first_divergence = protocol::Divergence{1, "reduction", "h.0.attn.qkv.weight", 1, 2};
  check.alpha = 2.0;
  check.rho = 3.1e-7;
  check.diagnosis = "gradients x 2.000 = data-parallel degree: summed, not averaged";
  result.reason = "noise_ratio: " + check.diagnosis;
  protocol::RankResult rank;
  rank.pid = 4242;
  rank.exit = 0;
  rank.position = "done";
  result.ranks = {rank};
  result.checks = {Check("effective_plan", "exact", 0, 0), check, Check("reported_norm", "exact", 2e-3, 1e-6)};
  result.deciding_check = 1;
  return result;
}

CaseResult CrashedCase() {
  CaseResult result = NotPassing("pp.crash", "pp=2,micro_batches=4", Status::kError,
                                 "rank 1 (pid 4711) was killed by signal 9 after step 2");
  protocol::RankResult rank;
  rank.rank = 1;
  rank.pid = 4711;
  rank.signal = 9;
  rank.position = "after step 2";
  rank.stderr_tail = "line one\r\n\x1b[31mred\x1b[0m\xff\nlast line\n";
  result.ranks = {rank};
  return result;
}

Record Frame() {
  Record record;
  record.run_id = "20250131T235959Z-1a2b3c4d";
  record.started = "2025-01-31T23:59:59Z";
  record.ended = "2025-02-01T00:01:29Z";
  record.profile = "core,pipeline,hybrid";
  record.command = {"lockstep", "conform", "--trainer", "kokkos"};
  record.complete = true;
  record.tool = Tool();
  record.system = System(Machine(), {});
  record.system["devices"] = json::array({{{"kind", "host"}, {"name", "a processor"}, {"memory_bytes", 1 << 30}}});
  record.environment = Environment();
  record.trainer = {{"name", "kokkos"}, {"version", "0.1.0"}, {"describe", json::object()}};
  record.config = {{"sha256", std::string(64, 'a')}};
  record.waivers = json::array();
  return record;
}

void Finish(Record* record) {
  record->counts = CountByStatus(record->cases);
  record->verdict = VerdictLine(*record);
}

}  // namespace

CaseResult PassingCase(const std::string& name, const std::string& plan) {
  CaseResult result;
  result.id = name + "/" + plan;
  result.plan = plan;
  result.profile = "core";
  result.claim = "Replicas stay in step.";
  result.workload = "gpt fp32";
  result.checks = {Check("replicas_bitwise", "B0", 0, 0), Check("noise_ratio", "T", 0.93, 3)};
  result.deciding_check = 1;
  result.seconds = 1.25;
  for (int rank = 0; rank < 2; ++rank) {
    result.memory.push_back(
        {{"rank", rank}, {"peak_bytes", 80000 + rank}, {"categories", {{"parameters", 9216}, {"activations", 70000}}}});
    result.pipeline.push_back(
        {{"rank", rank}, {"wall_seconds", 4.0}, {"busy_seconds", 3.0}, {"idle_seconds", 1.0 + rank}});
  }
  result.performance = {Measure(kStepSeconds, "s", "lower", {0.5, 0.25, 0.25}, 1),
                        Measure(kTokensPerSecond, "tokens/s", "higher", {200, 404, 404}, 1),
                        Measure(kTokensPerStep, "tokens", "none", {100, 101, 101}, 1),
                        Measure(kSamplesPerStep, "samples", "none", {7, 7, 7}, 1),
                        Measure(kModelFlopsPerStep, "FLOP", "none", {1e6, 1e6, 1e6}, 1)};
  result.artifacts = {{"evidence/rank_00000/done.json", std::string(64, 'b')}};
  return result;
}

Record PassingRecord() {
  Record record = Frame();
  record.cases = {PassingCase("dp.even", "dp=2"), PassingCase("dp.even", "dp=4"), PassingCase("pp.1f1b", "pp=2"),
                  PassingCase("hybrid.all", "dp=2,pp=2,tp=2")};
  record.cases[1].checks[1].measured = 1.93;
  record.cases[1].checks[1].margin = 3 / 1.93;
  record.cases[2].profile = "pipeline";
  record.cases[2].deciding_check = 0;
  record.cases[3].profile = "hybrid";
  Finish(&record);
  return record;
}

Record SampleRecord() {
  Record record = PassingRecord();
  CaseResult expected = FailingCase(), unexpected = PassingCase("dp.known_bug_2", "dp=2");
  expected.id = "dp.known_bug/dp=2";
  expected.status = Status::kXfail;
  unexpected.status = Status::kXpass;
  unexpected.reason = "was expected to fail";
  CaseResult hostile = FailingCase();
  hostile.id = kHostile;
  hostile.plan = "";
  hostile.profile = "hybrid";
  hostile.claim = hostile.reason = kHostile;
  hostile.checks[1].diagnosis = kHostile;
  hostile.checks[1].measured = std::numeric_limits<double>::quiet_NaN();
  CaseResult long_one = PassingCase("hybrid.a_case_with_a_name_that_is_much_longer_than_any_column_can_be",
                                    "dp=4,pp=2,tp=2,micro_batches=4,schedule=gpipe,sequence_parallel=true");
  long_one.profile = "hybrid";
  for (const CaseResult& result :
       {FailingCase(), CrashedCase(),
        NotPassing("pp.hang", "pp=4", Status::kTimeout, "no progress for 30 s; rank 2 last seen in step 3"),
        NotPassing("tp.even", "tp=2", Status::kUnsupported, "tensor parallel degree 2 (at most 1)"),
        NotPassing("tp.even", "tp=4", Status::kUnsupported, "tensor parallel degree 4 (at most 1)"),
        NotPassing("dp.skip", "dp=2", Status::kSkip, "not selected on a host with one core"),
        NotPassing("dp.mean", "dp=2", Status::kWaived, "DDP averages over ranks: uneven tokens weigh alike"), expected,
        unexpected, hostile, long_one}) {
    record.cases.push_back(result);
  }
  record.exit_code = 1;
  Finish(&record);
  return record;
}

TrainSummary SampleTrain() {
  TrainSummary summary;
  summary.run_id = "20250131T235959Z-1a2b3c4d";
  summary.backend = "kokkos";
  summary.workload = "gpt fp32";
  summary.started = "2025-01-31T23:59:59Z";
  summary.ended = "2025-02-01T00:01:29Z";
  summary.plan.pipeline = 2;
  summary.plan.micro_batches = 4;
  summary.complete = true;
  summary.last_step = 4;
  summary.step_seconds = {0.5, 0.25, 0.25, 0.25};
  summary.tokens = {100, 101, 102, 103};
  summary.samples = {7, 7, 7, 7};
  summary.model_flops = 4e9;
  summary.first_loss = 5.5;
  summary.last_loss = 4.25;
  summary.seconds = 2;
  for (int rank = 0; rank < 2; ++rank) {
    RankFigures figures;
    figures.rank = figures.pp_stage = rank;
    figures.memory.peak_bytes = 80000 + rank;
    figures.memory.categories = {{"parameters", 9216}, {"activations", 70000}};
    figures.wall_seconds = 1.25;
    figures.idle_seconds = 0.25;
    figures.busy_seconds = 1.0;
    figures.seconds = {{"compute", 1.0}, {"bubble", 0.125}, {"straggler", 0.125}};
    summary.ranks.push_back(figures);
  }
  summary.bubble_ratio = 0.1;
  summary.bubble_expected_ratio = 0.125;
  summary.tool = Tool();
  summary.system = System(Machine(), {});
  summary.system["devices"] = json::array({{{"kind", "host"}, {"name", "a processor"}}});
  return summary;
}

}  // namespace lockstep::publish
