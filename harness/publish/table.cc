// Table(): the cases, then what broke, then the figures, then the verdict.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "harness/publish/blocks.h"
#include "harness/publish/publish.h"
#include "harness/publish/text.h"
#include "harness/publish/words.h"

namespace lockstep::publish {
namespace {

using protocol::CaseResult;
using protocol::Record;
using protocol::Status;

constexpr std::size_t kWidth = kTableWidth;
constexpr std::size_t kFailuresShown = 20;  // in full; the others are in the table, junit.xml and record.json

// Natural widths of the columns, shrunk to the terminal: a plan goes on in the next line.
struct Widths {
  std::size_t name = 4, plan = 4, equality_class = 5, measured = 17, verdict = 7;
};

std::string Middle(const CaseResult& result) {
  if (OutcomeOf(result.status) == Outcome::kNotRun || DecidingCheck(result) == nullptr) return OneLine(result.reason);
  const protocol::CheckResult& check = *DecidingCheck(result);
  return fmt::format("{} ({})", MeasuredOfBound(check), OneLine(check.check));
}

std::string ClassOf(const CaseResult& result) { return OneLine(ClassesOf(result)); }

// A plan in lines that end at a comma: its schedule, which stands late in it, is never cut off.
std::vector<std::string> PlanLines(const std::string& plan, std::size_t width) {
  std::vector<std::string> lines{""};
  for (std::size_t begin = 0; begin < plan.size();) {
    const std::size_t end = std::min(plan.find(',', begin), plan.size() - 1) + 1;
    const std::string part = plan.substr(begin, end - begin);
    if (!lines.back().empty() && Columns(lines.back() + part) > width) lines.emplace_back();
    lines.back() += part;
    begin = end;
  }
  return lines;
}

void Shrink(std::size_t* column, std::size_t least, std::size_t* total) {
  if (*total <= kWidth || *column <= least) return;
  const std::size_t by = std::min(*total - kWidth, *column - least);
  *column -= by;
  *total -= by;
}

Widths WidthsOf(const Record& record) {
  Widths w;
  for (const CaseResult& result : record.cases) {
    w.name = std::max(w.name, Columns(CaseName(result)));
    w.plan = std::max(w.plan, Columns(OneLine(result.plan)));
    w.equality_class = std::max(w.equality_class, Columns(ClassOf(result)));
    w.measured = std::max(w.measured, Columns(Middle(result)));
    w.verdict = std::max(w.verdict, protocol::NameOf(result.status).size());
  }
  std::size_t total = 2 + w.name + 2 + w.plan + 2 + w.equality_class + 2 + w.measured + 2 + w.verdict;
  Shrink(&w.measured, 32, &total);
  Shrink(&w.plan, 30, &total);
  Shrink(&w.name, 28, &total);
  Shrink(&w.equality_class, 5, &total);
  return w;
}

void AddRow(const Widths& w, const CaseResult& result, bool repeat, const Paint& paint, std::string* out) {
  const std::string name = repeat ? "" : CutMiddle(CaseName(result), w.name);
  const std::vector<std::string> plan = PlanLines(OneLine(result.plan), w.plan);
  *out += "  " + Pad(name, w.name) + "  " + Pad(CutEnd(plan[0], w.plan), w.plan) + "  " +
          Pad(CutEnd(ClassOf(result), w.equality_class), w.equality_class) + "  " +
          Pad(CutEnd(Middle(result), w.measured), w.measured) + "  " + paint.Status(result.status) + "\n";
  for (std::size_t i = 1; i < plan.size(); ++i) {
    *out += std::string(4 + w.name, ' ') + CutEnd(plan[i], w.plan) + "\n";
  }
}

void AddCases(const Record& record, const Paint& paint, std::string* out) {
  const Widths w = WidthsOf(record);
  const std::string heads = "  " + Pad("case", w.name) + "  " + Pad("plan", w.plan) + "  " +
                            Pad("class", w.equality_class) + "  " + Pad("measured of bound", w.measured) + "  verdict";
  *out += paint.Dim(heads) + "\n";
  std::vector<std::string> profiles;
  for (const CaseResult& result : record.cases) {
    if (std::find(profiles.begin(), profiles.end(), result.profile) == profiles.end()) {
      profiles.push_back(result.profile);
    }
  }
  for (const std::string& profile : profiles) {
    std::vector<CaseResult> cases;
    std::copy_if(record.cases.begin(), record.cases.end(), std::back_inserter(cases),
                 [&](const CaseResult& result) { return result.profile == profile; });
    const auto holds = std::count_if(cases.begin(), cases.end(),
                                     [](const CaseResult& r) { return OutcomeOf(r.status) == Outcome::kHolds; });
    *out += paint.Bold(
                fmt::format("{}: {} of {} hold", profile.empty() ? "cases" : OneLine(profile), holds, cases.size())) +
            "\n";
    std::string before;
    for (const CaseResult& result : cases) {
      AddRow(w, result, CaseName(result) == before, paint, out);
      before = CaseName(result);
    }
  }
}

void AddFailures(const Record& record, const Paint& paint, std::string* out) {
  std::size_t shown = 0, left = 0;
  for (const CaseResult& result : record.cases) {
    if (OutcomeOf(result.status) != Outcome::kBroken) continue;
    if (shown++ >= kFailuresShown) {
      ++left;
      continue;
    }
    *out += "\n";
    const std::vector<std::string> title = Wrap(OneLine(result.id), kWidth - 10);
    *out += paint.Status(result.status) + "  " + title[0] + "\n";
    for (std::size_t i = 1; i < title.size(); ++i) *out += "    " + title[i] + "\n";
    std::vector<std::string> lines = FailureWords(result);
    if (!result.claim.empty()) lines.insert(lines.begin(), "claim: " + OneLine(result.claim));
    for (const std::string& line : lines) {
      bool first = true;
      for (const std::string& piece : Wrap(line, kWidth - 6)) {
        *out += (first ? "    " : "      ") + piece + "\n";
        first = false;
      }
    }
  }
  if (left > 0) *out += fmt::format("\n{} more cases do not hold; junit.xml and record.json tell of each\n", left);
}

// Who held up a run that came to its end.
void AddSlow(const Record& record, const Paint& paint, std::string* out) {
  for (const CaseResult& result : record.cases) {
    if (OutcomeOf(result.status) == Outcome::kBroken) continue;
    for (const protocol::Stuck& stuck : result.stuck) {
      const std::string line = "slow: " + OneLine(result.id) + ": " + OneLine(stuck.words);
      for (const std::string& piece : Wrap(line, kWidth)) *out += paint.Dim(piece) + "\n";
    }
  }
}

void AddNotRun(const Record& record, const Paint& paint, std::string* out) {
  std::map<std::pair<Status, std::string>, std::size_t> reasons;
  for (const CaseResult& result : record.cases) {
    if (OutcomeOf(result.status) == Outcome::kNotRun) ++reasons[{result.status, OneLine(result.reason)}];
  }
  if (!reasons.empty()) *out += "\n";
  for (const auto& [what, count] : reasons) {
    const std::string line = fmt::format("{} x {}: {}", count, protocol::NameOf(what.first), what.second);
    for (const std::string& piece : Wrap(line, kWidth)) *out += paint.Dim(piece) + "\n";
  }
}

}  // namespace

std::string Table(const Record& record, bool color) {
  const Paint paint(color);
  std::string out;
  if (!record.cases.empty()) AddCases(record, paint, &out);
  AddFailures(record, paint, &out);
  AddSlow(record, paint, &out);
  AddNotRun(record, paint, &out);
  const std::string figures = FiguresBlock(record, paint);
  if (!figures.empty()) out += "\n" + figures;
  if (record.fault) {
    out += "\n";
    for (const std::string& piece : Wrap(FaultWords(record.fault->fault), kWidth)) out += piece + "\n";
  }
  const std::string verdict = record.verdict.empty() ? VerdictLine(record) : OneLine(record.verdict);
  out += "\n";
  const bool caught = record.fault && record.fault->outcome == protocol::FaultOutcome::kCaught;
  const bool good = record.complete && (caught || (record.exit_code == 0 && verdict.rfind("FAIL", 0) != 0));
  for (const std::string& piece : Wrap(verdict, kWidth)) out += paint.Verdict(piece, good) + "\n";
  return out;
}

}  // namespace lockstep::publish
