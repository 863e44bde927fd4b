#include "harness/conform/session.h"

#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::conform {
namespace {

using nlohmann::json;
using protocol::Fields;

constexpr int kSessionVersion = 2;
constexpr const char* kFile = "conform.json";

const std::vector<std::string> kEnds{"done", "error", "timeout", "interrupted"};

json EndToJson(const launch::RunEnd& end) {
  json ranks = json::array();
  for (const protocol::RankResult& rank : end.ranks) {
    json row{{"rank", rank.rank}, {"pid", rank.pid}, {"stderr_tail", rank.stderr_tail}, {"position", rank.position}};
    if (rank.exit) row["exit"] = *rank.exit;
    if (rank.signal) row["signal"] = *rank.signal;
    if (!rank.stack.empty()) row["stack"] = rank.stack;
    ranks.push_back(row);
  }
  json value{{"kind", kEnds[static_cast<std::size_t>(end.kind)]},
             {"reason", end.reason},
             {"seconds", end.seconds},
             {"ranks", ranks}};
  for (const protocol::Stuck& stuck : end.stuck) value["stuck"].push_back(protocol::StuckToJson(stuck));
  return value;
}

launch::RunEnd EndFromJson(Fields fields) {
  launch::RunEnd end;
  const std::string kind = fields.Choice("kind", kEnds, "error");
  for (std::size_t i = 0; i < kEnds.size(); ++i) {
    if (kEnds[i] == kind) end.kind = static_cast<launch::EndKind>(i);
  }
  end.reason = fields.String("reason");
  end.seconds = fields.Number("seconds");
  for (Fields& row : fields.Objects("ranks")) {
    protocol::RankResult rank;
    rank.rank = row.Int("rank", -1, protocol::kMaxRanks);
    rank.pid = row.Int("pid", 0, 1 << 30);
    rank.stderr_tail = row.String("stderr_tail");
    rank.position = row.String("position");
    rank.stack = row.String("stack", "");
    if (row.Has("exit")) rank.exit = static_cast<int>(row.Int("exit", 0, 255));
    if (row.Has("signal")) rank.signal = static_cast<int>(row.Int("signal", 0, 255));
    row.Done();
    end.ranks.push_back(rank);
  }
  if (fields.Has("stuck")) {
    for (const Fields& each : fields.Objects("stuck")) end.stuck.push_back(protocol::StuckFromFields(each));
  }
  fields.Done();
  return end;
}

json CaseJson(const SessionCase& value) {
  json runs = json::array();
  for (const RunRecord& run : value.runs) {
    json row{{"name", run.name}, {"folder", run.folder.generic_string()}};
    if (run.end) row["end"] = EndToJson(*run.end);
    runs.push_back(row);
  }
  return {{"case", CaseToJson(value.spec)}, {"unsupported", value.unsupported}, {"runs", runs}};
}

// Evidence is read from nowhere but the output folder.
std::filesystem::path FolderInside(const Fields& fields, const std::string& text) {
  const std::filesystem::path folder = std::filesystem::path(text).lexically_normal();
  if (folder.empty() || folder.is_absolute() || *folder.begin() == "..") {
    fields.Refuse("folder", "is '" + text + "'", "expected a folder inside the output folder");
  }
  return folder;
}

SessionCase CaseOf(Fields fields) {
  SessionCase value;
  value.spec = CaseFromJson(fields.Raw("case"), fields.where() + ".case");
  value.unsupported = fields.String("unsupported", "");
  for (Fields& row : fields.Objects("runs")) {
    RunRecord run;
    run.name = row.String("name");
    run.folder = FolderInside(row, row.String("folder"));
    if (row.Has("end")) run.end = EndFromJson(row.Object("end"));
    row.Done();
    value.runs.push_back(run);
  }
  fields.Done();
  return value;
}

}  // namespace

void WriteSession(const std::filesystem::path& folder, const Session& session) {
  json cases = json::array(), waivers = json::array();
  for (const SessionCase& each : session.cases) cases.push_back(CaseJson(each));
  for (const protocol::Waiver& each : session.waivers) waivers.push_back(protocol::WaiverToJson(each));
  protocol::WriteJson(folder / kFile, {{"version", kSessionVersion},
                                       {"run_id", session.run_id},
                                       {"started", session.started},
                                       {"ended", session.ended},
                                       {"profile", session.profile},
                                       {"profile_version", session.profile_version},
                                       {"fault", session.fault ? protocol::FaultToJson(*session.fault) : json(nullptr)},
                                       {"machine", session.machine},
                                       {"environment", session.environment},
                                       {"command", session.command},
                                       {"complete", session.complete},
                                       {"signal", session.signal},
                                       {"trainer", session.trainer},
                                       {"capabilities", session.capabilities},
                                       {"waivers", waivers},
                                       {"cases", cases}});
}

Session ReadSession(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kFile;
  if (!std::filesystem::exists(file)) {
    throw protocol::BadInput(folder.string(), "holds no conform.json",
                             "expected a folder that `lockstep conform` wrote");
  }
  const json value = protocol::ReadJson(file);
  Fields fields(value, file.string());
  Session session;
  fields.Int("version", kSessionVersion, kSessionVersion);
  session.run_id = fields.String("run_id");
  session.started = fields.String("started");
  session.ended = fields.String("ended");
  session.profile = fields.String("profile");
  session.profile_version = static_cast<int>(fields.Int("profile_version", 0, 1 << 20));
  if (!fields.Raw("fault").is_null()) session.fault = protocol::FaultFromFields(fields.Object("fault"));
  fields.Object("machine"), fields.Object("environment");  // refused where they are none
  session.machine = fields.Raw("machine");
  session.environment = fields.Raw("environment");
  session.command = fields.Strings("command", {});
  session.complete = fields.Bool("complete", false);
  session.signal = static_cast<int>(fields.Int("signal", 0, 255));
  session.trainer = fields.String("trainer");
  session.capabilities = fields.Raw("capabilities");
  for (const Fields& row : fields.Objects("waivers")) session.waivers.push_back(protocol::WaiverFromFields(row));
  for (const Fields& each : fields.Objects("cases")) session.cases.push_back(CaseOf(each));
  fields.Done();
  return session;
}

}  // namespace lockstep::conform
