#include "harness/protocol/record.h"

#include <array>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::protocol {
namespace {

using nlohmann::json;

const std::array<std::string_view, 9> kStatuses{"pass", "fail",   "error", "timeout", "unsupported",
                                                "skip", "waived", "xfail", "xpass"};

json DivergenceToJson(const Divergence& at) {
  return {{"step", at.step},
          {"phase", at.phase},
          {"tensor", at.tensor},
          {"rank", at.rank},
          {"micro_batch", at.micro_batch}};
}

json CheckToJson(const CheckResult& check) {
  json value{{"check", check.check},
             {"class", check.equality_class},
             {"status", NameOf(check.status)},
             {"measured", NumberToJson(check.measured)},
             {"bound", NumberToJson(check.bound)},
             {"margin", NumberToJson(check.margin)},
             {"compared", check.compared},
             {"diagnosis", check.diagnosis}};
  if (check.first_divergence) value["first_divergence"] = DivergenceToJson(*check.first_divergence);
  if (check.alpha) value["alpha"] = NumberToJson(*check.alpha);
  if (check.rho) value["rho"] = NumberToJson(*check.rho);
  return value;
}

json RankToJson(const RankResult& rank) {
  json value{{"rank", rank.rank}, {"pid", rank.pid}, {"stderr_tail", rank.stderr_tail}, {"position", rank.position}};
  if (rank.exit) value["exit"] = *rank.exit;
  if (rank.signal) value["signal"] = *rank.signal;
  if (!rank.stack.empty()) value["stack"] = rank.stack;
  return value;
}

json CaseToJson(const CaseResult& result) {
  json checks = json::array(), ranks = json::array(), artifacts = json::array();
  for (const CheckResult& check : result.checks) checks.push_back(CheckToJson(check));
  for (const RankResult& rank : result.ranks) ranks.push_back(RankToJson(rank));
  for (const auto& [path, sha256] : result.artifacts) artifacts.push_back({{"path", path}, {"sha256", sha256}});
  json value{{"id", result.id},
             {"profile", result.profile},
             {"claim", result.claim},
             {"plan", result.plan},
             {"workload", result.workload},
             {"status", NameOf(result.status)},
             {"reason", result.reason},
             {"checks", checks},
             {"deciding_check", result.deciding_check},
             {"performance", result.performance},
             {"memory", result.memory},
             {"pipeline", result.pipeline},
             {"ranks", ranks},
             {"artifacts", artifacts},
             {"seconds", result.seconds}};
  for (const Stuck& stuck : result.stuck) value["stuck"].push_back(StuckToJson(stuck));
  if (result.deciding_check >= 0 && result.deciding_check < static_cast<std::int64_t>(checks.size())) {
    value["equivalence"] = checks[static_cast<std::size_t>(result.deciding_check)];
  }
  return value;
}

Status ReadStatus(Fields& fields) {
  return static_cast<Status>(
      std::find(kStatuses.begin(), kStatuses.end(), fields.Choice("status", {kStatuses.begin(), kStatuses.end()}, "")) -
      kStatuses.begin());
}

CheckResult CheckFromFields(Fields fields) {
  CheckResult check;
  check.check = fields.String("check");
  check.equality_class = fields.String("class");
  check.status = ReadStatus(fields);
  check.measured = fields.Number("measured");
  check.bound = fields.Number("bound");
  check.margin = fields.Number("margin");
  check.compared = fields.Int("compared", 0, INT64_MAX);
  check.diagnosis = fields.String("diagnosis", "");
  if (fields.Has("alpha")) check.alpha = fields.Number("alpha");
  if (fields.Has("rho")) check.rho = fields.Number("rho");
  if (fields.Has("first_divergence")) {
    Fields at = fields.Object("first_divergence");
    check.first_divergence = Divergence{at.Int("step", 0, INT64_MAX), at.String("phase"), at.String("tensor", ""),
                                        at.Int("rank", -1, INT64_MAX, -1), at.Int("micro_batch", -1, INT64_MAX, -1)};
  }
  return check;
}

RankResult RankFromFields(Fields fields) {
  RankResult rank;
  rank.rank = fields.Int("rank", -1, INT64_MAX);
  rank.pid = fields.Int("pid", 0, INT64_MAX, 0);
  if (fields.Has("exit")) rank.exit = static_cast<int>(fields.Int("exit", 0, 255));
  if (fields.Has("signal")) rank.signal = static_cast<int>(fields.Int("signal", 0, 255));
  rank.stderr_tail = fields.String("stderr_tail", "");
  rank.position = fields.String("position", "");
  rank.stack = fields.String("stack", "");
  return rank;
}

json Raw(Fields& fields, const std::string& key, const json& otherwise) {
  return fields.Has(key) ? fields.Raw(key) : otherwise;
}

CaseResult CaseFromFields(Fields fields) {
  CaseResult result;
  result.id = fields.String("id");
  result.profile = fields.String("profile", "");
  result.claim = fields.String("claim", "");
  result.plan = fields.String("plan", "");
  result.workload = fields.String("workload", "");
  result.status = ReadStatus(fields);
  result.reason = fields.String("reason", "");
  for (Fields& check : fields.Objects("checks")) result.checks.push_back(CheckFromFields(check));
  result.deciding_check = fields.Int("deciding_check", -1, static_cast<std::int64_t>(result.checks.size()) - 1, -1);
  result.performance = Raw(fields, "performance", json::array());
  result.memory = Raw(fields, "memory", json::array());
  result.pipeline = Raw(fields, "pipeline", json::array());
  for (Fields& rank : fields.Objects("ranks")) result.ranks.push_back(RankFromFields(rank));
  if (fields.Has("stuck")) {
    for (const Fields& stuck : fields.Objects("stuck")) result.stuck.push_back(StuckFromFields(stuck));
  }
  for (Fields& artifact : fields.Objects("artifacts"))
    result.artifacts.emplace_back(artifact.String("path"), artifact.String("sha256"));
  result.seconds = fields.Number("seconds", 0.0);
  return result;
}

}  // namespace

std::string_view NameOf(Status status) { return kStatuses[static_cast<std::size_t>(status)]; }

std::optional<Status> StatusFromName(std::string_view name) {
  for (std::size_t i = 0; i < kStatuses.size(); ++i) {
    if (kStatuses[i] == name) return static_cast<Status>(i);
  }
  return std::nullopt;
}

json RecordToJson(const Record& record) {
  json cases = json::array();
  for (const CaseResult& result : record.cases) cases.push_back(CaseToJson(result));
  json value{{"schema_version", kRecordVersion},
             {"tool", record.tool},
             {"run",
              {{"id", record.run_id},
               {"started", record.started},
               {"ended", record.ended},
               {"command", record.command},
               {"profile", record.profile},
               {"complete", record.complete}}},
             {"system", record.system},
             {"environment", record.environment},
             {"trainer", record.trainer},
             {"config", record.config},
             {"cases", cases},
             {"waivers", record.waivers},
             {"summary", {{"counts", record.counts}, {"verdict", record.verdict}, {"exit_code", record.exit_code}}}};
  if (record.fault) value["fault"] = FaultResultToJson(*record.fault);
  return value;
}

Record RecordFromJson(const json& value, const std::string& where) {
  Fields fields(value, where);
  const std::string version = fields.String("schema_version");
  if (version.rfind("1.", 0) != 0) fields.Refuse("schema_version", "is " + version, "expected 1.x");
  Record record;
  Fields run = fields.Object("run");
  record.run_id = run.String("id");
  record.started = run.String("started", "");
  record.ended = run.String("ended", "");
  record.command = run.Strings("command", {});
  record.profile = run.String("profile", "");
  record.complete = run.Bool("complete", false);
  record.tool = Raw(fields, "tool", json::object());
  record.system = Raw(fields, "system", json::object());
  record.environment = Raw(fields, "environment", json::object());
  record.trainer = Raw(fields, "trainer", json::object());
  record.config = Raw(fields, "config", json::object());
  record.waivers = Raw(fields, "waivers", json::array());
  if (fields.Has("fault")) record.fault = FaultResultFromFields(fields.Object("fault"));
  for (Fields& result : fields.Objects("cases")) record.cases.push_back(CaseFromFields(result));
  Fields summary = fields.Object("summary");
  if (summary.Has("counts")) {
    Fields counts = summary.Object("counts");
    for (const auto& [name, count] : value["summary"]["counts"].items())
      record.counts[name] = counts.Int(name, 0, INT64_MAX);
  }
  record.verdict = summary.String("verdict", "");
  record.exit_code = static_cast<int>(summary.Int("exit_code", 0, 255, 0));
  return record;
}

}  // namespace lockstep::protocol
