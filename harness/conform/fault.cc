#include "harness/conform/fault.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/launch/launch.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/fields.h"
#include "harness/protocol/files.h"

namespace lockstep::conform {
namespace {

using protocol::CaseResult;
using protocol::CheckResult;
using protocol::Fault;
using protocol::FaultOutcome;
using protocol::Status;

bool AsDeclared(const Fault& fault, const CheckResult& check) {
  const auto& at = check.first_divergence;
  if (check.check != fault.check || check.diagnosis.find(fault.diagnosis) == std::string::npos) return false;
  if (fault.step >= 0 && (!at || at->step != fault.step)) return false;
  if (!fault.phase.empty() && (!at || at->phase != fault.phase)) return false;
  return fault.tensor.empty() || (at && at->tensor == fault.tensor);
}

const CheckResult* DecidingCheckOf(const CaseResult& result) {
  const bool is_there = result.deciding_check >= 0 && result.deciding_check < std::ssize(result.checks);
  return is_there ? &result.checks[static_cast<std::size_t>(result.deciding_check)] : nullptr;
}

std::string FoundWords(const CaseResult& result) {
  const CheckResult* check = DecidingCheckOf(result);
  if (check == nullptr) return result.reason;
  Fault found;
  found.check = check->check;
  found.diagnosis = check->diagnosis;
  if (check->first_divergence) {
    found.step = check->first_divergence->step;
    found.phase = check->first_divergence->phase;
    found.tensor = check->first_divergence->tensor;
  }
  return protocol::ExpectationWords(found);
}

// Waivers excuse a trainer, and never its fault.
bool Fails(const CaseResult& result) {
  return result.status == Status::kFail || result.status == Status::kXpass || result.status == Status::kWaived;
}

protocol::FaultResult JudgeElsewhere(const Fault& fault, const std::vector<CaseResult>& cases) {
  const std::string unseen = "its own case " + fault.workload_case + " was not run";
  const auto failing = std::find_if(cases.begin(), cases.end(), Fails);
  if (failing != cases.end()) {
    return {
        fault, FaultOutcome::kCaughtElsewhere,
        unseen + "; " + failing->id + " fails: " + FoundWords(*failing) + ", which no declaration was held against"};
  }
  const auto holds = [](const CaseResult& each) { return each.status == Status::kPass; };
  const bool held = std::any_of(cases.begin(), cases.end(), holds);
  return {fault, held ? FaultOutcome::kMissed : FaultOutcome::kNotJudged,
          unseen + (held ? ", and no case that was run fails" : ", and no case came to a verdict")};
}

// A fault that holds the run up, or ends it.
protocol::FaultResult JudgeStuck(const Fault& fault, const CaseResult& own) {
  const std::string expected = protocol::ExpectationWords(fault);
  for (const protocol::Stuck& stuck : own.stuck) {
    const std::string found = std::string(NameOf(stuck.kind)) + ": " + stuck.words;
    if (found.find(fault.diagnosis) == std::string::npos) continue;
    return {fault, FaultOutcome::kCaught, "as declared: " + expected};
  }
  const std::string declared = "; declared: " + expected;
  if (!own.stuck.empty()) {
    return {fault, FaultOutcome::kCaughtOtherwise, "found: " + own.stuck.back().words + declared};
  }
  if (own.status == Status::kPass) return {fault, FaultOutcome::kMissed, own.id + " holds" + declared};
  if (Fails(own)) return {fault, FaultOutcome::kCaughtOtherwise, "found: " + FoundWords(own) + declared};
  return {fault, FaultOutcome::kNotJudged, own.id + ": nothing says what held it up: " + own.reason + declared};
}

}  // namespace

std::vector<protocol::Fault> ListFaults(const protocol::Manifest& manifest) {
  if (manifest.faults.empty() || manifest.faulty_launch.empty()) {
    throw protocol::BadInput("trainer '" + manifest.name + "'", "has no faults built in",
                             "its manifest needs `faults` and `faulty_launch`");
  }
  const std::string where = manifest.name + ": faults";
  const nlohmann::json list = protocol::ParseJson(launch::Capture(manifest, manifest.faults, 60), where);
  if (!list.is_array()) throw protocol::BadInput(where, "is not an array");
  std::vector<protocol::Fault> faults;
  for (const nlohmann::json& each : list) {
    faults.push_back(
        protocol::FaultFromFields(protocol::Fields(each, where + "[" + std::to_string(faults.size()) + "]")));
  }
  return faults;
}

protocol::Fault FindFault(const protocol::Manifest& manifest, const std::string& name) {
  std::vector<std::string> names;
  for (const protocol::Fault& fault : ListFaults(manifest)) {
    if (fault.name == name) return fault;
    names.push_back(fault.name);
  }
  const std::string near = protocol::Nearest(name, names);
  throw protocol::BadInput("--fault", "no fault is called '" + name + "'",
                           near.empty() ? "see `lockstep list faults`" : "did you mean '" + near + "'?");
}

protocol::FaultResult JudgeFault(const Fault& fault, const std::vector<CaseResult>& cases) {
  const auto own =
      std::find_if(cases.begin(), cases.end(), [&](const CaseResult& each) { return each.id == fault.workload_case; });
  if (own == cases.end()) return JudgeElsewhere(fault, cases);
  if (fault.found_by == "watcher") return JudgeStuck(fault, *own);
  const std::string declared = "; declared: " + protocol::ExpectationWords(fault);
  if (own->status == Status::kPass) return {fault, FaultOutcome::kMissed, own->id + " holds" + declared};
  if (!Fails(*own)) {
    return {fault, FaultOutcome::kNotJudged,
            own->id + " came to no verdict (" + std::string(protocol::NameOf(own->status)) + ": " + own->reason + ")" +
                declared};
  }
  const CheckResult* check = DecidingCheckOf(*own);
  if (check != nullptr && AsDeclared(fault, *check)) {
    return {fault, FaultOutcome::kCaught, "as declared: " + protocol::ExpectationWords(fault)};
  }
  return {fault, FaultOutcome::kCaughtOtherwise, "found: " + FoundWords(*own) + declared};
}

}  // namespace lockstep::conform
