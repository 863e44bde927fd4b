#include "harness/publish/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/protocol/bad_input.h"
#include "harness/publish/publish.h"
#include "harness/publish/text.h"

namespace lockstep::publish {
namespace {

using protocol::CaseResult;
using protocol::CheckResult;
using protocol::Record;
using protocol::Status;

constexpr std::size_t kTailLines = 8;  // of a rank's standard error

// A ratio with two places, so that values and bounds of one column line up.
std::string Places(double value) {
  const bool plain = std::abs(value) >= 0.005 && std::abs(value) < 100;
  return plain ? fmt::format("{:.2f}", value) : Significant(value);
}

std::string CheckWords(const CheckResult& check) {
  return fmt::format("{} ({}): {}, {} compared", OneLine(check.check), OneLine(check.equality_class),
                     MeasuredOfBound(check), WithCommas(check.compared));
}

// `all`: where no run ended well, the position of a rank that is not itself to blame tells something, too.
void AddRank(const protocol::RankResult& rank, bool all, std::vector<std::string>* lines) {
  const bool bad_exit = rank.exit && *rank.exit != 0;
  if (!bad_exit && !rank.signal && (!all || rank.position.empty())) return;
  const std::string who = rank.rank < 0 ? "launcher" : fmt::format("rank {}", rank.rank);
  std::string line = fmt::format("{} (pid {})", who, rank.pid);
  if (rank.signal) line += fmt::format(": killed by signal {}", *rank.signal);
  if (bad_exit) line += fmt::format(": exit code {}", *rank.exit);
  if (!rank.position.empty()) line += "; last seen: " + OneLine(rank.position);
  lines->push_back(line);
  for (const std::string& thread : LastLines(Printable(rank.stack), kTailLines)) lines->push_back("  thread " + thread);
  for (const std::string& tail : LastLines(Printable(rank.stderr_tail), kTailLines)) lines->push_back("  | " + tail);
}

std::string CountWords(const Record& record, std::initializer_list<Status> statuses) {
  const auto counts = CountByStatus(record.cases);
  std::string words;
  for (const Status status : statuses) {
    const auto found = counts.find(std::string(protocol::NameOf(status)));
    if (found == counts.end() || found->second == 0) continue;
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", found->second, found->first);
  }
  return words;
}

// The check with the largest R among class T, null where no case has one. NaN counts as largest.
const CheckResult* LargestNoiseRatio(const Record& record) {
  const CheckResult* largest = nullptr;
  for (const CaseResult& result : record.cases) {
    if (OutcomeOf(result.status) != Outcome::kHolds) continue;
    for (const CheckResult& check : result.checks) {
      if (check.equality_class == "T" && (largest == nullptr || !(check.measured <= largest->measured))) {
        largest = &check;
      }
    }
  }
  return largest;
}

std::string FaultHeading(protocol::FaultOutcome outcome) {
  switch (outcome) {
    case protocol::FaultOutcome::kCaught:
      return "FAULT CAUGHT";
    case protocol::FaultOutcome::kCaughtOtherwise:
      return "FAULT CAUGHT BY SOMETHING ELSE";
    case protocol::FaultOutcome::kCaughtElsewhere:
      return "FAULT CAUGHT, BUT NOT BY ITS OWN CASE";
    case protocol::FaultOutcome::kMissed:
      return "FAULT NOT CAUGHT";
    case protocol::FaultOutcome::kNotJudged:
      return "FAULT NOT JUDGED";
  }
  return "";
}

}  // namespace

Outcome OutcomeOf(Status status) {
  switch (status) {
    case Status::kPass:
    case Status::kXfail:
      return Outcome::kHolds;
    case Status::kUnsupported:
    case Status::kSkip:
    case Status::kWaived:
      return Outcome::kNotRun;
    default:
      return Outcome::kBroken;
  }
}

const CheckResult* DecidingCheck(const CaseResult& result) {
  if (result.checks.empty()) return nullptr;
  const bool named = result.deciding_check >= 0 && result.deciding_check < std::ssize(result.checks);
  return &result.checks[named ? static_cast<std::size_t>(result.deciding_check) : 0];
}

std::string ClassesOf(const CaseResult& result) {
  const CheckResult* deciding = DecidingCheck(result);
  if (deciding == nullptr || OutcomeOf(result.status) == Outcome::kNotRun) return "-";
  if (OutcomeOf(result.status) == Outcome::kBroken) return deciding->equality_class;
  std::string classes;
  for (const char* name : {"B1", "B2"}) {  // B0, ranks that agree, and what is exact stand in nearly every case
    const auto is_it = [&](const CheckResult& check) { return check.equality_class == name && &check != deciding; };
    if (std::any_of(result.checks.begin(), result.checks.end(), is_it)) classes += std::string(name) + "+";
  }
  return classes + deciding->equality_class;
}

std::string CaseName(const CaseResult& result) {
  const std::string id = OneLine(result.id);
  const std::string plan = fmt::format("/{}", OneLine(result.plan));
  return !result.plan.empty() && id.ends_with(plan) ? id.substr(0, id.size() - plan.size()) : id;
}

std::string DivergenceWords(const protocol::Divergence& divergence) {
  std::string words = fmt::format("step {}, {}", divergence.step, OneLine(divergence.phase));
  if (!divergence.tensor.empty()) words += ", tensor " + OneLine(divergence.tensor);
  if (divergence.rank >= 0) words += fmt::format(", rank {}", divergence.rank);
  if (divergence.micro_batch >= 0) words += fmt::format(", micro-batch {}", divergence.micro_batch);
  return words;
}

std::string MeasuredOfBound(const CheckResult& check) {
  if (check.compared == 0) return "nothing compared";
  const bool counts =
      check.bound == 0 && check.measured >= 0 && check.measured == std::floor(check.measured) && check.measured < 1e15;
  if (counts) {
    return fmt::format("{} of {} differ", WithCommas(std::llround(check.measured)), WithCommas(check.compared));
  }
  return fmt::format("{} of {}", Places(check.measured), Places(check.bound));
}

std::vector<std::string> FailureWords(const CaseResult& result) {
  std::vector<std::string> lines;
  if (!result.reason.empty()) lines.push_back(OneLine(result.reason));
  if (const CheckResult* check = DecidingCheck(result)) {
    lines.push_back(CheckWords(*check));
    if (check->first_divergence) lines.push_back("first divergence: " + DivergenceWords(*check->first_divergence));
    if (check->alpha && check->rho) {
      lines.push_back(fmt::format("alpha {:.6g} (scale), rho {:.3g} (direction)", *check->alpha, *check->rho));
    }
    if (result.reason.find(check->diagnosis) == std::string::npos) {  // the reason may be the diagnosis itself
      lines.push_back("diagnosis: " + OneLine(check->diagnosis));
    }
    for (const CheckResult& other : result.checks) {
      if (&other != check && OutcomeOf(other.status) == Outcome::kBroken) lines.push_back("also " + CheckWords(other));
    }
  }
  const bool ended_badly = result.status == Status::kError || result.status == Status::kTimeout;
  for (const protocol::RankResult& rank : result.ranks) AddRank(rank, ended_badly, &lines);
  return lines;
}

std::string FaultWords(const protocol::Fault& fault) {
  return OneLine("switched on: fault " + fault.name + " (" + fault.kind + "): " + fault.mechanism +
                 " No figures are published of it.");
}

protocol::Plan PlanOf(const CaseResult& result) {
  try {
    if (!result.plan.empty() && result.plan != "single") return protocol::ParsePlan(result.plan);
  } catch (const protocol::BadInput&) {
    // An old or foreign record may hold a plan that this version can't read; its figures then count as one rank's.
  }
  return protocol::Plan();
}

std::map<std::string, std::int64_t> CountByStatus(const std::vector<CaseResult>& cases) {
  std::map<std::string, std::int64_t> counts;
  for (const CaseResult& result : cases) ++counts[std::string(protocol::NameOf(result.status))];
  return counts;
}

std::string VerdictLine(const Record& record) {
  if (record.fault) {
    return FaultHeading(record.fault->outcome) + ": " + OneLine(record.fault->fault.name) + ", " +
           OneLine(record.fault->words) + (record.complete ? "" : "; cut short, not complete");
  }
  const std::size_t total = record.cases.size();
  std::size_t holds = 0, broken = 0;
  std::string first;
  for (const CaseResult& result : record.cases) {
    if (OutcomeOf(result.status) == Outcome::kHolds) ++holds;
    if (OutcomeOf(result.status) != Outcome::kBroken) continue;
    if (broken++ == 0) first = OneLine(result.id);
  }
  const std::string cut = record.complete ? "" : "; cut short, not complete";
  const std::string others = CountWords(record, {Status::kUnsupported, Status::kSkip, Status::kWaived});
  const std::string tail = (others.empty() ? "" : ", " + others) + cut;
  if (total == 0) return "FAIL: no case was run" + cut;
  if (broken > 0) {
    const std::string how = CountWords(record, {Status::kFail, Status::kError, Status::kTimeout, Status::kXpass});
    const std::string line = fmt::format("FAIL: {} of {} cases do not hold ({}){}", broken, total, how, tail);
    const std::string named = line + "; first: " + first;
    return Columns(named) <= kTableWidth ? named : line;
  }
  if (holds == 0) return fmt::format("FAIL: none of {} cases holds{}", total, tail);
  std::string line =
      fmt::format("{}: {} of {} cases hold{}", record.complete ? "PASS" : "INCOMPLETE", holds, total, tail);
  if (const CheckResult* largest = LargestNoiseRatio(record)) {
    line += fmt::format("; largest R {} (margin {})", MeasuredOfBound(*largest), Places(largest->margin));
  }
  return line;
}

}  // namespace lockstep::publish
