// Evidence -> verdict, one case at a time. Needs no trainer: what conform judges, `lockstep judge` judges again.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <vector>

#include "harness/conform/session.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/record.h"

namespace lockstep::conform {

struct Judged {
  protocol::CaseResult result;
  std::vector<protocol::Hello> hellos;  // of the candidate's ranks, where it got so far
};

// `folder`: the output folder; `cache`: of oracle traces.
Judged JudgeCase(const SessionCase& value, const Session& session, const std::filesystem::path& folder,
                 const std::filesystem::path& cache);

// Which check a case's line shows: of those that fail, the earliest divergence in the order of a step; where all hold,
// the one with the smallest margin. -1 without checks.
std::int64_t DecidingCheck(const std::vector<protocol::CheckResult>& checks);

// Failed checks that a waiver covers (case, check, and cause in whole words) become waived; the status of the case
// follows.
void ApplyWaivers(const std::vector<protocol::Waiver>& waivers, protocol::CaseResult* result);

}  // namespace lockstep::conform
