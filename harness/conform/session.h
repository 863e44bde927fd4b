// What was asked of a trainer and how its runs ended: conform.json, beside the evidence.
//
// It is all that judging needs besides the evidence itself, so that `lockstep judge` never needs a trainer. It holds no
// verdict: verdicts are made from it, again and again to the same ones.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/conform/case.h"
#include "harness/launch/launch.h"
#include "harness/protocol/fault.h"
#include "harness/protocol/manifest.h"

namespace lockstep::conform {

struct RunRecord {
  std::string name;                   // "candidate", ...: runs.h
  std::filesystem::path folder;       // relative to the output folder
  std::optional<launch::RunEnd> end;  // none: never started
};

struct SessionCase {
  Case spec;
  std::string unsupported;  // why the trainer can't; "" when it can
  std::vector<RunRecord> runs;
};

struct Session {
  std::string run_id, started, ended, profile;
  std::optional<protocol::Fault> fault;  // switched on
  int profile_version = 0;
  std::vector<std::string> command;
  bool complete = false;  // every run was made
  int signal = 0;         // that cut it short
  std::string trainer;    // manifest's name
  nlohmann::json capabilities;
  nlohmann::json machine, environment;  // of the runs, as publish::Machine and Environment told them then
  std::vector<protocol::Waiver> waivers;
  std::vector<SessionCase> cases;
};

void WriteSession(const std::filesystem::path& folder, const Session& session);  // conform.json
Session ReadSession(const std::filesystem::path& folder);                        // throws BadInput

}  // namespace lockstep::conform
