// The main job: select cases, have the trainer run them, judge the evidence, and put it all into a record.
//
//   cases + trainer -> session (runs made) -> record (verdicts)
//
// Judging is the same for runs just made and for a folder of years ago. Nothing here prints.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/conform/execute.h"
#include "harness/conform/session.h"
#include "harness/protocol/record.h"

namespace lockstep::conform {

struct Options {
  protocol::Manifest manifest;
  std::vector<Case> cases;
  std::string profile;  // "" when the cases were named otherwise
  int profile_version = 0;
  std::optional<protocol::Fault> fault;
  std::vector<std::string> command;  // as typed
  ExecuteOptions execute;
};

// Runs everything and writes conform.json. Throws BadInput where the trainer can't be asked what it can do.
Session MakeRuns(const Options& options);

using OnCase = std::function<void(const protocol::CaseResult&)>;

// Verdicts of a session whose evidence lies in `folder`. `on_case`: called as each is judged; may be empty.
protocol::Record JudgeSession(const Session& session, const std::filesystem::path& folder, const OnCase& on_case);

// 0 all held, 1 a case failed, 4 a case could not be run, 5 nothing held and nothing failed, 124 a case timed out, 130
// and 143 interrupted. Failed before could-not-run before timed out. A waived case is one that was left out: beside a
// case that held it changes nothing, and where all are waived, unsupported or skipped nothing was shown.
// With a fault switched on: 1 where it was caught, as declared; 3 where it was missed, or caught by something else;
// never 0.
int ExitCodeOf(const protocol::Record& record, int signal);

}  // namespace lockstep::conform
