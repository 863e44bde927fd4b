// A check: a pure function from (workload, plan, oracle trace, evidence) to a verdict. One file a check.
//
// A check never starts anything, never reads a clock and never looks at the trainer's name. It compares everything or
// fails: `compared` counts the elements, and 0 is a failure. It reports the first divergence in the order of a step:
// plan, load, ledger, forward, backward, reduction, clip, optimizer.
// To add one: a file NAME.cc here that defines `extern const Check check_NAME`; nothing else names it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/oracle/oracle.h"
#include "harness/protocol/evidence.h"
#include "harness/protocol/inputs.h"
#include "harness/protocol/record.h"

namespace lockstep::checks {

// The runs that a check may compare. Null: not made for this case.
struct Runs {
  const protocol::RunEvidence* candidate = nullptr;     // workload under plan
  const protocol::RunEvidence* single = nullptr;        // same trainer, workload, micro-batches; one rank
  const protocol::RunEvidence* rerun = nullptr;         // the candidate once more
  const protocol::RunEvidence* variant = nullptr;       // the candidate with overlap turned round
  const protocol::RunEvidence* resumed = nullptr;       // from the candidate's checkpoint, under another plan
  const protocol::RunEvidence* resumed_same = nullptr;  // from the candidate's checkpoint, under the same plan
};

struct Input {
  const protocol::Workload& workload;
  const protocol::Plan& plan;
  const protocol::Inputs& inputs;
  const oracle::Trace& trace;  // oracle's, or the own model's fp64 single run
  Runs runs;
};

struct Check {
  std::string name;               // "noise_ratio"; the file's name
  std::string equality_class;     // "B0", "B1", "B2", "T", "exact", "time"
  std::string sentence;           // what it demands, for `lockstep list checks`
  std::vector<std::string> runs;  // runs it needs besides candidate: "single", "rerun", ...
  std::function<protocol::CheckResult(const Input&)> run;
};

// Every check of this folder, by name (written by lockstep_registry in CMakeLists.txt).
std::vector<const Check*> AllChecks();

}  // namespace lockstep::checks
