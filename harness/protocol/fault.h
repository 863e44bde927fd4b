// A fault that a trainer has built in, and what came of switching it on.
//
// A fault is a promise of the suite: this defect, on this case, is found by this check, at this step and phase, and
// told in these words; or it holds the run up, and the watcher says so in them. A run with a fault is a test of the
// suite, never of the trainer: its figures are nobody's.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace lockstep::protocol {

class Fields;

struct Fault {
  std::string name, kind, mechanism, source;
  std::string workload_case;             // case that must fail: "dp.even/dp=2"
  std::string found_by = "check";        // or "watcher": `stuck` of the case's result must name it
  std::string check;                     // check that must fail first
  std::int64_t step = -1;                // of the first divergence; -1 for any
  std::string phase, tensor, diagnosis;  // what must be named; "" for any
};

// As the manifest's `faults` command prints it. Throws BadInput.
Fault FaultFromFields(Fields fields);  // refuses unknown keys
nlohmann::json FaultToJson(const Fault& fault);

enum class FaultOutcome {
  kCaught,           // as declared
  kCaughtOtherwise,  // its case fails, but not by this check, step, phase and words
  kCaughtElsewhere,  // its own case was not among those run; another fails
  kMissed,           // it was switched on and nothing fails
  kNotJudged,        // its case came to no verdict: crashed, timed out, skipped, not supported
};
std::string_view NameOf(FaultOutcome outcome);  // "caught", "caught_otherwise", ...

struct FaultResult {
  Fault fault;
  FaultOutcome outcome = FaultOutcome::kNotJudged;
  std::string words;  // one line: what was found, and what was declared where it differs
};

FaultResult FaultResultFromFields(Fields fields);
nlohmann::json FaultResultToJson(const FaultResult& result);

// "noise_ratio, step 1, reduction, tensor w, \"summed, not averaged\"": what must be named.
std::string ExpectationWords(const Fault& fault);

}  // namespace lockstep::protocol
