// summary.md: what a CI job shows of itself. Failures first; then the table, folded; cut by whole lines below 1 MiB.
#include <fmt/format.h>

#include "harness/protocol/files.h"
#include "harness/publish/blocks.h"
#include "harness/publish/publish.h"
#include "harness/publish/text.h"
#include "harness/publish/words.h"

namespace lockstep::publish {
namespace {

using protocol::CaseResult;
using protocol::Record;

constexpr std::size_t kMostBytes = (1u << 20) - 4096;  // the service refuses 1 MiB; the last lines need room
constexpr std::size_t kMostOfALine = 2000;

// Takes whole lines until the room is used up, then counts what it left out.
class Page {
 public:
  bool Add(const std::string& line) {
    if (left_out_ > 0 || text_.size() + line.size() + 1 > kMostBytes) {
      ++left_out_;
      return false;
    }
    text_ += line + "\n";
    return true;
  }
  std::string Finish(bool folded) {
    if (left_out_ > 0) text_ += fmt::format("\n{} more lines are left out; record.json has all.\n", left_out_);
    return text_ + (folded ? "\n</details>\n" : "");
  }

 private:
  std::string text_;
  std::size_t left_out_ = 0;
};

std::string Marked(const std::string& text) { return MarkdownText(CutEnd(OneLine(text), kMostOfALine)); }

void AddFailures(const Record& record, Page* page) {
  for (const CaseResult& result : record.cases) {
    if (OutcomeOf(result.status) != Outcome::kBroken) continue;
    page->Add(fmt::format("### {}: {}\n", protocol::NameOf(result.status), Marked(result.id)));
    if (!result.claim.empty()) page->Add("> " + Marked(result.claim) + "\n");
    for (const std::string& line : FailureWords(result)) page->Add("- " + Marked(line));
    page->Add("");
  }
}

void AddTable(const Record& record, Page* page) {
  page->Add(
      "| profile | case | plan | check | class | measured of bound | verdict |\n"
      "| --- | --- | --- | --- | --- | --- | --- |");
  for (const CaseResult& result : record.cases) {
    const protocol::CheckResult* check = DecidingCheck(result);
    const bool run = check != nullptr && OutcomeOf(result.status) != Outcome::kNotRun;
    page->Add(fmt::format("| {} | {} | {} | {} | {} | {} | {} |", Marked(result.profile), Marked(CaseName(result)),
                          Marked(result.plan), run ? Marked(check->check) : "-", Marked(ClassesOf(result)),
                          run ? MeasuredOfBound(*check) : Marked(result.reason), protocol::NameOf(result.status)));
  }
}

void AddFigures(const Record& record, Page* page) {
  const std::string block = FiguresBlock(record, Paint(false));
  if (block.empty()) return;
  page->Add("");
  for (const std::string& line : Lines(block)) page->Add("    " + line);  // indented: verbatim
}

}  // namespace

std::string SummaryText(const Record& record) {
  Page page;
  page.Add("## Lockstep: " + Marked(record.verdict.empty() ? VerdictLine(record) : record.verdict) + "\n");
  if (record.fault) page.Add(Marked(FaultWords(record.fault->fault)) + "\n");
  AddFailures(record, &page);
  const bool folded = page.Add(fmt::format("<details><summary>{} cases</summary>\n", record.cases.size()));
  AddTable(record, &page);
  AddFigures(record, &page);
  return page.Finish(folded);
}

void WriteSummary(const std::filesystem::path& dir, const Record& record) {
  protocol::WriteFileWhole(dir / "summary.md", SummaryText(record));
}

void WriteRecord(const std::filesystem::path& dir, const Record& record) {
  // Standard error of a trainer need not be UTF-8; JSON must be.
  const auto replace = nlohmann::json::error_handler_t::replace;
  protocol::WriteFileWhole(dir / "record.json", protocol::RecordToJson(record).dump(2, ' ', false, replace) + "\n");
}

void WriteAll(const std::filesystem::path& dir, const Record& record) {
  WriteRecord(dir, record);
  WriteJUnit(dir, record);
  WriteSummary(dir, record);
  WriteMetrics(dir, record);
}

}  // namespace lockstep::publish
