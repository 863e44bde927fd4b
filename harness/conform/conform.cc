#include "harness/conform/conform.h"

#include <csignal>
#include <nlohmann/json.hpp>

#include "harness/conform/fault.h"
#include "harness/conform/judge.h"
#include "harness/conform/output_folder.h"
#include "harness/conform/runs.h"
#include "harness/protocol/files.h"
#include "harness/publish/publish.h"
#include "harness/publish/system.h"

namespace lockstep::conform {
namespace {

using nlohmann::json;
using protocol::Status;

const FolderUse kFolderUse{
    "lockstep conform",
    "conform.json",
    "run_id",
    {"runs", "inputs", "record.json", "junit.xml", "metrics.prom", "summary.md", "conform.json"}};
constexpr double kDescribeSeconds = 120;  // a first import of a large framework from a cold disk

json ConfigOf(const Session& session) {
  json cases = json::array();
  for (const SessionCase& each : session.cases) cases.push_back(CaseToJson(each.spec));
  const std::string fault = session.fault ? session.fault->name : "";
  const std::string hash = protocol::Sha256(cases.dump() + fault);
  return {{"profile", session.profile},
          {"profile_version", session.profile_version},
          {"fault", fault},
          {"cases", cases.size()},
          {"sha256", hash}};
}

json WaiversOf(const Session& session) {
  json rows = json::array();
  for (const protocol::Waiver& each : session.waivers) rows.push_back(protocol::WaiverToJson(each));
  return rows;
}

// Of a run with a fault no figure is a trainer's, also where a case holds.
void TakeFiguresAway(protocol::CaseResult* result) {
  for (json* figures : {&result->performance, &result->memory, &result->pipeline}) *figures = json::array();
}

// Of the cases alone, whatever was switched on.
int ExitCodeOfCases(const protocol::Record& record) {
  bool held = false, failed = false, broken = false, late = false;
  for (const protocol::CaseResult& each : record.cases) {
    held = held || each.status == Status::kPass || each.status == Status::kXfail;  // what is waived did not hold
    failed = failed || each.status == Status::kFail || each.status == Status::kXpass;
    broken = broken || each.status == Status::kError;
    late = late || each.status == Status::kTimeout;
  }
  if (failed) return 1;
  if (broken) return 4;
  if (late) return 124;
  return held ? 0 : 5;
}

}  // namespace

Session MakeRuns(const Options& options) {
  const protocol::Manifest& manifest = options.manifest;
  launch::WritableCache();  // judging will want it: refused now, not after the runs
  const std::string answer = launch::Capture(manifest, manifest.describe, kDescribeSeconds);
  const std::string where = manifest.name + ": describe";
  const protocol::Capabilities can = protocol::CapabilitiesFromJson(protocol::ParseJson(answer, where), where);
  Session session;
  session.run_id = publish::NewRunId();
  session.started = publish::IsoNow();
  session.machine = publish::Machine();
  session.environment = publish::Environment();
  session.profile = options.profile;
  session.profile_version = options.profile_version;
  session.fault = options.fault;
  session.command = options.command;
  session.trainer = manifest.name;
  session.capabilities = protocol::CapabilitiesToJson(can);
  session.waivers = manifest.waivers;
  for (const Case& each : options.cases) session.cases.push_back({each, WhyUnsupported(can, each), {}});
  PrepareFolder(options.execute.folder, kFolderUse);
  WriteSession(options.execute.folder, session);
  try {
    Execute(manifest, options.execute, &session);
  } catch (...) {
    session.ended = publish::IsoNow();
    WriteSession(options.execute.folder, session);  // the runs made so far can still be judged
    throw;
  }
  session.ended = publish::IsoNow();
  WriteSession(options.execute.folder, session);
  return session;
}

protocol::Record JudgeSession(const Session& session, const std::filesystem::path& folder, const OnCase& on_case) {
  protocol::Record record;
  record.run_id = session.run_id;
  record.started = session.started;
  record.ended = session.ended;
  record.profile = session.profile;
  record.command = session.command;
  record.complete = session.complete;
  record.trainer = {{"name", session.trainer},
                    {"version", session.capabilities.value("version", "")},
                    {"describe", session.capabilities}};
  record.config = ConfigOf(session);
  record.waivers = WaiversOf(session);
  const std::filesystem::path cache = launch::WritableCache();
  std::vector<protocol::Hello> hellos;
  for (const SessionCase& each : session.cases) {
    Judged judged = JudgeCase(each, session, folder, cache);
    if (judged.hellos.size() > hellos.size()) hellos = judged.hellos;
    if (session.fault) TakeFiguresAway(&judged.result);
    if (on_case) on_case(judged.result);
    record.cases.push_back(std::move(judged.result));
  }
  record.tool = publish::Tool();
  record.system = publish::System(session.machine, hellos);
  record.environment = session.environment;
  if (session.fault) record.fault = JudgeFault(*session.fault, record.cases);
  record.counts = publish::CountByStatus(record.cases);
  record.exit_code = ExitCodeOf(record, session.signal);
  record.verdict = publish::VerdictLine(record);
  return record;
}

int ExitCodeOf(const protocol::Record& record, int signal) {
  if (signal != 0) return 128 + signal;
  const int code = ExitCodeOfCases(record);
  if (!record.fault) return code;
  switch (record.fault->outcome) {
    case protocol::FaultOutcome::kCaught:
    case protocol::FaultOutcome::kCaughtElsewhere:
      return 1;
    case protocol::FaultOutcome::kNotJudged:
      return code > 1 ? code : 3;  // what other cases say does not stand for the fault's own
    default:
      return 3;
  }
}

}  // namespace lockstep::conform
