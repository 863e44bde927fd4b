// One run's results, by schema (results/schema/record.schema.json), with the machine it ran on.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/fault.h"
#include "harness/protocol/stuck.h"

namespace lockstep::protocol {

inline constexpr const char* kRecordVersion = "1.1";

enum class Status { kPass, kFail, kError, kTimeout, kUnsupported, kSkip, kWaived, kXfail, kXpass };
std::string_view NameOf(Status);
std::optional<Status> StatusFromName(std::string_view name);

struct Divergence {
  std::int64_t step = 0;
  std::string phase;              // load, forward, backward, reduction, clip, optimizer, ledger, plan, time
  std::string tensor;             // "" where none
  std::int64_t rank = -1;         // -1: all
  std::int64_t micro_batch = -1;  // -1: none
};

struct CheckResult {
  std::string check;           // "noise_ratio"
  std::string equality_class;  // B0, B1, B2, T, exact, time
  Status status = Status::kPass;
  double measured = 0, bound = 0;  // in the check's own unit
  double margin = 0;               // bound / measured where both are finite and > 0
  std::int64_t compared = 0;       // elements or items; 0 never passes
  std::optional<Divergence> first_divergence;
  std::optional<double> alpha, rho;
  std::string diagnosis;  // in words, with the figures
};

struct RankResult {
  std::int64_t rank = 0, pid = 0;
  std::optional<int> exit, signal;
  std::string stderr_tail, position;  // position: last thing that it was seen doing
  std::string stack = {};             // where its threads stood before it was ended, a line each; "": not taken
};

struct CaseResult {
  std::string id, profile, claim, plan, workload;
  Status status = Status::kPass;
  std::string reason;  // why not pass, one line
  std::vector<CheckResult> checks;
  std::int64_t deciding_check = -1;                      // index of the one that the table shows
  nlohmann::json performance = nlohmann::json::array();  // [{name, unit, better, samples, median, n, warmup}]
  nlohmann::json memory = nlohmann::json::array();       // [{rank, peak_bytes, categories}]
  nlohmann::json pipeline = nlohmann::json::array();     // [{rank, wall_seconds, busy_seconds, idle_seconds}]
  std::vector<RankResult> ranks;
  std::vector<Stuck> stuck;                                    // what held the run up
  std::vector<std::pair<std::string, std::string>> artifacts;  // path, sha256
  double seconds = 0;
};

struct Record {
  std::string run_id, started, ended, profile;
  std::vector<std::string> command;
  bool complete = false;
  nlohmann::json tool, system, environment, trainer, config, waivers;
  std::optional<FaultResult> fault;  // that was switched on: then this tells of the suite, not of the trainer
  std::vector<CaseResult> cases;
  std::map<std::string, std::int64_t> counts;  // by status
  std::string verdict;                         // one line
  int exit_code = 0;
};

nlohmann::json RecordToJson(const Record& record);
Record RecordFromJson(const nlohmann::json& value, const std::string& where);  // throws BadInput

}  // namespace lockstep::protocol
