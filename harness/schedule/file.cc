#include "harness/schedule/file.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>

#include "harness/protocol/bad_input.h"
#include "harness/protocol/files.h"
#include "harness/schedule/header.h"

namespace lockstep::schedule {
namespace {

using protocol::Action;
using protocol::ActionKind;
using protocol::BadInput;

constexpr std::size_t kMostOfStem = 200;  // bytes of a file's name that become a schedule's

std::string_view Trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Spreadsheets quote cells.
std::string_view Unquoted(std::string_view cell) {
  cell = Trimmed(cell);
  if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"') cell = Trimmed(cell.substr(1, cell.size() - 2));
  return cell;
}

std::vector<Action> ParseRow(std::string_view row, const std::string& where) {
  std::vector<Action> actions;
  std::size_t cell = 0;
  while (!row.empty()) {
    const std::size_t end = std::min(row.find(','), row.size());
    const std::string_view text = Unquoted(row.substr(0, end));
    ++cell;
    if (!text.empty()) {
      const std::vector<Action> parsed =
          protocol::ParseActions(std::string(text), where + ", cell " + std::to_string(cell));
      actions.insert(actions.end(), parsed.begin(), parsed.end());
    }
    row.remove_prefix(std::min(end + 1, row.size()));
  }
  return actions;
}

struct Row {
  std::size_t line = 0;  // of the file, from 1
  std::string_view text;
};

// The file's lines; blank ones at its end are none.
std::vector<Row> Rows(std::string_view text) {
  std::vector<Row> rows;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    rows.push_back({line, Trimmed(text.substr(0, end))});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  while (!rows.empty() && rows.back().text.empty()) rows.pop_back();
  return rows;
}

// What torch's CSV leaves to be seen from its actions.
void Infer(const std::string& where, protocol::Schedule* schedule) {
  std::int64_t stages = 0, micro_batches = 0;
  schedule->placement.clear();
  for (const auto& line : schedule->ranks) {
    std::set<std::int64_t> here;
    for (const Action& action : line) {
      here.insert(action.stage);
      stages = std::max(stages, action.stage);
      micro_batches = std::max(micro_batches, action.micro_batch);
    }
    schedule->placement.emplace_back(here.begin(), here.end());
  }
  if (std::max(stages, micro_batches) == std::numeric_limits<std::int64_t>::max()) {
    throw BadInput(where, "names a stage or micro-batch beyond all bounds");
  }
  schedule->stages = stages + 1;
  schedule->micro_batches = micro_batches + 1;
  // Said only where it says something, so that a schedule that comes back from torch is the one that went there.
  const auto ranks = static_cast<std::int64_t>(schedule->ranks.size());
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const auto& here = schedule->placement[static_cast<std::size_t>(rank)];
    if (schedule->stages % ranks != 0 || std::ssize(here) != schedule->stages / ranks) return;
    for (std::int64_t chunk = 0; chunk < std::ssize(here); ++chunk) {
      if (here[static_cast<std::size_t>(chunk)] != chunk * ranks + rank) return;
    }
  }
  schedule->placement.clear();
}

}  // namespace

Document ReadDocument(const std::filesystem::path& file) {
  const std::string name = protocol::OneLine(file.stem().string(), kMostOfStem);
  return ParseDocument(protocol::ReadTextFile(file), file.string(), std::string(Trimmed(name)));
}

Document ParseDocument(const std::string& text, const std::string& where, const std::string& name) {
  Document document;
  document.schedule.name = name;
  const std::vector<Row> rows = Rows(text);
  if (rows.empty()) throw BadInput(where, "is empty", "expected a line of actions for each rank");
  Header header(where);
  document.from_torch = !Header::Begins(rows.front().text);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const std::string place = where + ": line " + std::to_string(row.line);
    if (row.text.starts_with('#')) {
      if (document.from_torch)
        throw BadInput(place, "is no line of actions",
                       "expected 0F0,0F1,... or, at the top, \"" + Header::FirstLine() + "\"");
      if (!document.schedule.ranks.empty()) throw BadInput(place, "is a header below the first rank");
      header.Read(std::string(row.text), place);
    } else {
      document.schedule.ranks.push_back(ParseRow(row.text, place));
    }
  }
  if (document.schedule.ranks.empty()) throw BadInput(where, "has no line of actions", "expected one for each rank");
  if (document.from_torch) {
    Infer(where, &document.schedule);
  } else {
    header.Apply(&document);
  }
  return document;
}

std::string ToText(const Document& document) {
  std::string text = Header::Write(document);
  for (const auto& line : document.schedule.ranks) text += protocol::ToString(line) + "\n";
  return text;
}

std::string ToTorch(const protocol::Schedule& schedule, const std::string& where) {
  const auto placement = protocol::PlacementOf(schedule);
  std::vector<std::int64_t> rank_of(static_cast<std::size_t>(schedule.stages), -1);
  for (std::size_t rank = 0; rank < placement.size(); ++rank) {
    for (const std::int64_t stage : placement[rank]) {
      std::int64_t& holder = rank_of.at(static_cast<std::size_t>(stage));
      if (holder >= 0) {
        throw BadInput(where,
                       "stage " + std::to_string(stage) + " stands on ranks " + std::to_string(holder) + " and " +
                           std::to_string(rank),
                       "torch.distributed.pipelining has each stage on one rank");
      }
      holder = static_cast<std::int64_t>(rank);
    }
  }
  std::string text;
  for (const auto& line : schedule.ranks) {
    for (const Action& action : line) {
      if (action.kind != ActionKind::kRecompute && action.kind != ActionKind::kOptimizer) continue;
      throw BadInput(where, "torch.distributed.pipelining has no " + protocol::ToString(action));
    }
    text += protocol::ToString(line) + "\r\n";  // as its own writer ends lines
  }
  return text;
}

std::int64_t Chunks(const protocol::Schedule& schedule) {
  std::size_t most = 0;
  for (const auto& stages : protocol::PlacementOf(schedule)) most = std::max(most, stages.size());
  return static_cast<std::int64_t>(most);
}

}  // namespace lockstep::schedule
