// A record, published: a table for a terminal, record.json, junit.xml, summary.md and metrics.prom.
//
// Everything here is a function of a finished record: nothing is measured, judged or looked up, so any record, however
// old, can be published again. Files are whole or not there. Figures (throughput, idle time, memory) are published of
// cases that hold alone: a figure of a run whose numbers are wrong is no figure. It knows no trainer and no check.
#pragma once

#include <filesystem>
#include <string>

#include "harness/protocol/record.h"

namespace lockstep::publish {

inline constexpr int kTableWidth = 120;  // columns that Table and TrainText stay within

// What a person reads at the end of `conform` and `judge`: the cases grouped by profile and workload, with the deciding
// check's measured value of its bound; failures with their diagnosis; memory, idle time and throughput; one line of
// verdict, last. `color`: with ANSI colours. Ends in a newline.
std::string Table(const protocol::Record& record, bool color);

// "0.93 of 3.00", "0 bytes differ of 12,345 compared": one check's measured value, in its class's words.
std::string MeasuredOfBound(const protocol::CheckResult& check);

// The verdict in one line, from the counts: "PASS: 80 of 80 cases hold; largest R 1.93 of 3.00 (margin 1.55)". For
// Record::verdict; Table and summary.md print the record's own, and this where it has none.
std::string VerdictLine(const protocol::Record& record);

// cases by status, for Record::counts.
std::map<std::string, std::int64_t> CountByStatus(const std::vector<protocol::CaseResult>& cases);

void WriteRecord(const std::filesystem::path& dir, const protocol::Record& record);   // record.json, by results/schema
void WriteJUnit(const std::filesystem::path& dir, const protocol::Record& record);    // junit.xml
void WriteSummary(const std::filesystem::path& dir, const protocol::Record& record);  // summary.md, under 1 MiB
void WriteMetrics(const std::filesystem::path& dir, const protocol::Record& record);  // metrics.prom
void WriteAll(const std::filesystem::path& dir, const protocol::Record& record);      // these four

// The same as text, for tests and for other ways out.
std::string JUnitText(const protocol::Record& record);
std::string SummaryText(const protocol::Record& record);
std::string MetricsText(const protocol::Record& record);

}  // namespace lockstep::publish
