#include "harness/conform/judge.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <limits>
#include <tuple>

#include "harness/checks/check.h"
#include "harness/checks/support/verdict.h"
#include "harness/conform/trace.h"
#include "harness/oracle/oracle.h"
#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"
#include "harness/publish/figures.h"
#include "harness/stalls/figures.h"

namespace lockstep::conform {
namespace {

using protocol::CaseResult;
using protocol::CheckResult;
using protocol::RunEvidence;
using protocol::Status;

using Evidence = std::map<std::string, std::unique_ptr<RunEvidence>>;

// Where in a step a divergence stands. Gradients are written after their reduction, so time can't tell the two apart.
int PhaseOf(const protocol::Divergence& divergence) {
  return checks::PhaseOrder(divergence.phase == "reduction" ? "backward" : divergence.phase);
}

// Which class says most about a case that holds: the one with a bound to come near to, then the strictest.
int ClassOrder(const std::string& equality_class) {
  const std::vector<std::string> classes{"time", "T", "B2", "B1", "B0"};
  return static_cast<int>(std::find(classes.begin(), classes.end(), equality_class) - classes.begin());
}

// A run that did not come to its end decides the case; the candidate's is the one to tell of.
bool AllEnded(const SessionCase& value, CaseResult* result) {
  for (const RunRecord& run : value.runs) {
    if (run.end && run.end->kind == launch::EndKind::kDone) continue;
    result->status = Status::kError;
    if (!run.end || run.end->kind == launch::EndKind::kInterrupted) {
      result->status = Status::kSkip;
      result->reason = run.end ? "interrupted before it was done" : "not started: the run was cut short before";
      return false;
    }
    if (run.end->kind == launch::EndKind::kTimeout) result->status = Status::kTimeout;
    result->reason = (run.name == "candidate" ? "" : run.name + " run: ") + run.end->reason;
    result->ranks = run.end->ranks;
    result->stuck = run.end->stuck;
    return false;
  }
  return true;
}

CheckResult BadEvidence(const checks::Check& check, const std::string& problem) {
  CheckResult result;
  result.check = check.name;
  result.equality_class = check.equality_class;
  result.status = Status::kFail;
  result.measured = std::numeric_limits<double>::quiet_NaN();
  result.diagnosis = "bad evidence: " + problem;
  return result;
}

CheckResult RunCheck(const checks::Check& check, const checks::Input& input) {
  try {
    CheckResult result = check.run(input);
    result.check = check.name;
    result.equality_class = check.equality_class;
    if (result.status == Status::kPass && result.compared == 0) {
      result.status = Status::kFail;
      result.diagnosis = "nothing was compared";
    }
    return result;
  } catch (const protocol::BadInput& error) {
    return BadEvidence(check, error.what());
  }
}

const RunEvidence* Find(const Evidence& evidence, const std::string& name) {
  const auto found = evidence.find(name);
  return found == evidence.end() ? nullptr : found->second.get();
}

std::vector<CheckResult> RunChecks(const SessionCase& value, const std::filesystem::path& folder,
                                   const std::filesystem::path& cache, const Evidence& evidence) {
  const protocol::Workload& workload = value.spec.workload;
  const protocol::Inputs inputs = protocol::ReadInputs(folder / value.runs.at(0).folder, workload);
  const RunEvidence* reference = Find(evidence, "reference");
  const oracle::Trace trace = reference ? TraceOf(*reference) : oracle::TrainCached(workload, inputs, cache / "oracle");
  const checks::Runs runs{Find(evidence, "candidate"), Find(evidence, "single"),  Find(evidence, "rerun"),
                          Find(evidence, "variant"),   Find(evidence, "resumed"), Find(evidence, "resumed_same")};
  const checks::Input input{workload, value.spec.plan, inputs, trace, runs};
  std::vector<CheckResult> results;
  const std::vector<const checks::Check*> all = checks::AllChecks();
  for (const std::string& name : value.spec.checks) {
    const auto check =
        std::find_if(all.begin(), all.end(), [&](const checks::Check* each) { return each->name == name; });
    results.push_back(RunCheck(**check, input));
  }
  return results;
}

void Conclude(CaseResult* result) {
  result->deciding_check = DecidingCheck(result->checks);
  const auto failed = [](const CheckResult& check) { return check.status != Status::kPass; };
  if (std::none_of(result->checks.begin(), result->checks.end(), failed)) {
    result->status = result->checks.empty() ? Status::kFail : Status::kPass;
    if (result->checks.empty()) result->reason = "nothing was checked";
    return;
  }
  const CheckResult& deciding = result->checks[static_cast<std::size_t>(result->deciding_check)];
  result->status = Status::kFail;
  result->reason = deciding.check + ": " + deciding.diagnosis;
}

publish::TimeFigures TimesOf(const RunEvidence& run, const std::filesystem::path& folder) {
  const stalls::RunFigures figures = stalls::FiguresOf(folder, run.request(), run.ranks());
  return {figures.seconds, figures.bubble_ratio, figures.bubble_expected_ratio};
}

void ReadAndCheck(const SessionCase& value, const std::filesystem::path& folder, const std::filesystem::path& cache,
                  Judged* judged) {
  CaseResult* result = &judged->result;
  Evidence evidence;
  publish::TimeFigures times;
  std::string reading;
  try {
    for (const RunRecord& run : value.runs) {
      reading = run.name;
      const std::filesystem::path request = folder / run.folder;
      evidence[run.name] = std::make_unique<RunEvidence>(RunEvidence::Read(request, protocol::ReadRequest(request)));
    }
    for (const auto& rank : evidence.at("candidate")->ranks()) judged->hellos.push_back(rank.hello);
    result->checks = RunChecks(value, folder, cache, evidence);
    reading = "candidate";
    times = TimesOf(*evidence.at("candidate"), folder / value.runs.at(0).folder);
  } catch (const protocol::BadInput& error) {
    result->status = Status::kFail;
    result->reason = "bad evidence (" + reading + " run): " + error.what();
    return;
  }
  Conclude(result);
  publish::FillFigures(*evidence.at("candidate"), times, result);
}

// `words` stand in `text`, and no letter or digit runs on at either end: "mean" is not in "means".
bool HoldsWords(const std::string& text, const std::string& words) {
  const auto goes_on = [&](std::size_t at) {
    return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  if (words.find_first_not_of(" \t\r\n") == std::string::npos) return false;  // would stand everywhere
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    if ((at == 0 || !goes_on(at - 1)) && !goes_on(at + words.size())) return true;
  }
  return false;
}

bool Covers(const protocol::Waiver& waiver, const std::string& id, const CheckResult& check) {
  const bool prefix = waiver.case_id.ends_with('*');
  const bool same = prefix ? id.starts_with(waiver.case_id.substr(0, waiver.case_id.size() - 1)) : id == waiver.case_id;
  return same && (waiver.check.empty() || waiver.check == check.check) && HoldsWords(check.diagnosis, waiver.cause);
}

// Of checks that see the same step and phase wrong, the one that says most of why comes first: one that names a part
// (exact), then ranks that disagree (B0), then distance from the oracle (T), then bytes that differ from another run's,
// then what took too long.
int Bluntness(const std::string& equality_class) {
  const std::vector<std::string> order{"exact", "B0", "T", "B1", "B2", "time"};
  return static_cast<int>(std::find(order.begin(), order.end(), equality_class) - order.begin());
}

}  // namespace

std::int64_t DecidingCheck(const std::vector<CheckResult>& checks) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  std::int64_t deciding = -1;
  std::tuple<bool, std::int64_t, int, double> best;
  for (std::size_t i = 0; i < checks.size(); ++i) {
    const CheckResult& check = checks[i];
    const auto& divergence = check.first_divergence;
    const std::int64_t step = divergence ? divergence->step : std::numeric_limits<std::int64_t>::max();
    const int phase = divergence ? PhaseOf(*divergence) : 0;
    const bool holds = check.status == Status::kPass;
    const double margin = check.margin > 0 ? check.margin : kFar;
    const std::tuple key = holds ? std::tuple{true, std::int64_t{0}, ClassOrder(check.equality_class), margin}
                                 : std::tuple{false, step, 10 * phase + Bluntness(check.equality_class), 0.0};
    if (deciding >= 0 && !(key < best)) continue;
    deciding = static_cast<std::int64_t>(i);
    best = key;
  }
  return deciding;
}

void ApplyWaivers(const std::vector<protocol::Waiver>& waivers, CaseResult* result) {
  if (result->status != Status::kFail || result->checks.empty()) return;
  bool all = true;
  std::string reason;
  for (CheckResult& check : result->checks) {
    if (check.status == Status::kPass) continue;
    const auto waiver = std::find_if(waivers.begin(), waivers.end(),
                                     [&](const protocol::Waiver& each) { return Covers(each, result->id, check); });
    if (waiver == waivers.end()) {
      all = false;
      continue;
    }
    check.status = Status::kWaived;
    reason = waiver->reason;
  }
  if (!all) return;
  result->status = Status::kWaived;
  result->reason = reason + " (" + result->reason + ")";  // the status says that it is waived
}

Judged JudgeCase(const SessionCase& value, const Session& session, const std::filesystem::path& folder,
                 const std::filesystem::path& cache) {
  const auto begin = std::chrono::steady_clock::now();
  Judged judged;
  CaseResult* result = &judged.result;
  result->id = value.spec.id;
  result->profile = session.profile;
  result->claim = value.spec.claim;
  result->plan = protocol::ToString(value.spec.plan);
  result->workload = publish::WorkloadName(value.spec.workload);
  if (!value.unsupported.empty()) {
    result->status = Status::kUnsupported;
    result->reason = "the trainer can't: " + value.unsupported;
    return judged;
  }
  if (AllEnded(value, result)) {
    result->ranks = value.runs.at(0).end->ranks;
    result->stuck = value.runs.at(0).end->stuck;
    ReadAndCheck(value, folder, cache, &judged);
    ApplyWaivers(session.waivers, result);
    if (result->status != Status::kPass) result->performance = nlohmann::json::array();  // no figure without a verdict
  }
  for (const RunRecord& run : value.runs) {
    const std::filesystem::path file = run.folder / "request.json";
    if (std::filesystem::exists(folder / file)) {
      result->artifacts.emplace_back(file.generic_string(), protocol::Sha256File(folder / file));
    }
  }
  result->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return judged;
}

}  // namespace lockstep::conform
