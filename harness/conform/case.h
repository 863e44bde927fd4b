// Cases and profiles: claims as data. suites/conformance/cases/*.toml, suites/conformance/profiles/*.toml.
//
// A case file is a claim: one workload, the plans it must hold under, the checks that prove it.
//
//   id = "dp.uneven_tokens"
//   claim = "The loss is the mean over all valid tokens, however unevenly replicas hold them."
//   plans = ["dp=2", "dp=3,micro_batches=2"]
//   checks = ["effective_plan", "ledger", "noise_ratio"]
//   [model] ... [optimizer] ... [data] ... [training] ...       as in a workload file
//   [resume]                                                   optional: checkpoint_round_trip
//   save_after = 2
//   sharded = true
//   plan = "tp=2"
//   [[delays]]                                                 optional, any number: pauses that the candidate makes
//   rank = 1
//   operation = "B"
//   seconds = 0.2
//   step = 6                                                   every one if absent; micro_batch likewise
//
// Each plan makes one case: "dp.uneven_tokens/dp=2".
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/protocol/delay.h"
#include "harness/protocol/plan.h"
#include "harness/protocol/workload.h"

namespace lockstep::conform {

struct Resume {
  std::int64_t save_after = 1;
  bool sharded = false;
  protocol::Plan plan;
};

struct Case {
  std::string id;  // "dp.uneven_tokens/dp=2"
  std::string claim;
  protocol::Workload workload;
  protocol::Plan plan;
  std::vector<std::string> checks;
  std::optional<Resume> resume;
  std::vector<protocol::Delay> delays = {};
};

struct Profile {
  std::string name, summary;
  int version = 1;
  std::vector<std::string> cases;  // case files' ids; each brings all of its plans
};

// Throws BadInput: unknown keys and checks, a plan that can't lay out the workload, a check whose runs the case can't
// have, a delay that never comes, a case that a profile names but no file has, a profile without cases.
std::vector<Case> ReadCaseFile(const std::filesystem::path& file);
Profile ReadProfile(const std::filesystem::path& file);
std::vector<Case> CasesOf(const Profile& profile, const std::filesystem::path& suites);

// One case, checked as those of a file are. `where` names its source.
Case MakeCase(const std::string& id, const std::string& claim, const protocol::Workload& workload,
              const std::string& plan, const std::vector<std::string>& checks, const std::optional<Resume>& resume,
              const std::string& where);

// Throws BadInput where a delay would never come: it would pass for one that costs nothing.
void ValidateDelays(const Case& value, const std::string& where);

// Every profile and every case of a suites folder, in the order of the files' names.
std::vector<Profile> AllProfiles(const std::filesystem::path& suites);
std::vector<Case> AllCases(const std::filesystem::path& suites);

// The profile of that name; BadInput names the nearest one.
Profile FindProfile(const std::string& name, const std::filesystem::path& suites);

// The cases that `id` means: a case ("dp.even/dp=2"), a case file with all its plans ("dp.even"), or a beginning that
// ends in '*'. BadInput names the nearest one where there is none.
std::vector<Case> MatchCases(const std::vector<Case>& cases, const std::string& id);

// As conform.json keeps it.
nlohmann::json CaseToJson(const Case& value);
Case CaseFromJson(const nlohmann::json& value, const std::string& where);

}  // namespace lockstep::conform
