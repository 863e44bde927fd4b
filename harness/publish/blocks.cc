#include "harness/publish/blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/protocol/plan.h"
#include "harness/publish/case_figures.h"
#include "harness/publish/publish.h"
#include "harness/publish/system.h"
#include "harness/publish/text.h"

namespace lockstep::publish {
namespace {

using protocol::CaseResult;
using protocol::Record;

constexpr std::size_t kRanksShown = 16;
constexpr std::size_t kCategoriesShown = 3;
constexpr double kLeastReason = 0.005;  // of the idle time
constexpr const char* kNoTimes = "virtual devices: no times are published, for they say nothing of a GPU's\n";

std::string CategoryWords(const protocol::MemoryPeak& memory) {
  std::vector<std::pair<std::int64_t, std::string>> sorted;
  for (const auto& [name, bytes] : memory.categories) sorted.emplace_back(-bytes, name);
  std::sort(sorted.begin(), sorted.end());
  std::string words;
  for (std::size_t i = 0; i < std::min(kCategoriesShown, sorted.size()); ++i) {
    words += fmt::format("{}{} {}", i == 0 ? "" : ", ", OneLine(sorted[i].second), Bytes(-sorted[i].first));
  }
  return words;
}

std::string IdleWords(const RankFigures& rank) {
  if (!(rank.wall_seconds > 0)) return "-";
  const std::string percent = fmt::format("{:.1f}%", 100 * rank.idle_seconds / rank.wall_seconds);
  return fmt::format("{} of {}", PadLeft(percent, 5), Seconds(rank.wall_seconds));
}

std::string RankLine(const RankFigures& rank) {
  return fmt::format("  {:>4}  {:>11}  {}  {}", rank.rank,
                     rank.memory.peak_bytes > 0 ? Bytes(rank.memory.peak_bytes) : "-", Pad(IdleWords(rank), 20),
                     CategoryWords(rank.memory));
}

// Over all cases that hold: each rank's largest peak (with that case's categories) and the sum of its times.
std::vector<RankFigures> Together(const Record& record) {
  std::map<std::int64_t, RankFigures> ranks;
  for (const CaseResult& result : record.cases) {
    if (!HasFigures(result)) continue;
    for (const RankFigures& one : RanksOf(result)) {
      RankFigures& all = ranks[one.rank];
      all.rank = one.rank;
      if (one.memory.peak_bytes >= all.memory.peak_bytes) all.memory = one.memory;
      all.wall_seconds += one.wall_seconds;
      all.busy_seconds += one.busy_seconds;
      all.idle_seconds += one.idle_seconds;
      for (const auto& [category, seconds] : one.seconds) all.seconds[category] += seconds;
    }
  }
  std::vector<RankFigures> figures;
  for (const auto& [number, rank] : ranks) figures.push_back(rank);
  return figures;
}

double Sum(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

// What the idle time of all ranks was for, largest first: "idle for  bubble 61%, straggler 30%, transfer 9%".
std::string ReasonsLine(const std::vector<RankFigures>& ranks) {
  std::vector<std::pair<double, std::string>> reasons;
  double all = 0;
  for (const std::string_view reason : kIdleReasons) {
    double seconds = 0;
    for (const RankFigures& rank : ranks) {
      const auto found = rank.seconds.find(std::string(reason));
      if (found != rank.seconds.end()) seconds += found->second;
    }
    all += seconds;
    reasons.emplace_back(-seconds, reason);
  }
  if (!(all > 0)) return "";
  std::stable_sort(reasons.begin(), reasons.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string line = "idle for ";
  for (const auto& [seconds, reason] : reasons) {
    if (-seconds < kLeastReason * all) break;
    line += fmt::format("{} {} {:.0f}%", line.ends_with("%") ? "," : "", reason, -100 * seconds / all);
  }
  return CutEnd(line, kTableWidth) + "\n";
}

std::string ThroughputLine(const Record& record) {
  double tokens = 0, steps = 0, fastest = -1;
  std::string where;
  for (const CaseResult& result : record.cases) {
    if (!HasFigures(result)) continue;
    tokens += Sum(SamplesOf(result, kTokensPerStep));
    steps += static_cast<double>(SamplesOf(result, kStepSeconds).size());
    const double median = MedianOf(result, kTokensPerSecond);
    if (median > fastest) {
      fastest = median;
      where = OneLine(result.id);
    }
  }
  if (steps == 0) return "";
  std::string line = fmt::format("tokens/s  {} tokens in {} steps by the ledger", WithCommas(std::llround(tokens)),
                                 WithCommas(std::llround(steps)));
  if (fastest > 0) line += fmt::format("; most {} tokens/s in {}", Significant(fastest), where);
  return CutEnd(line, kTableWidth) + "\n";
}

}  // namespace

std::string Paint::Status(protocol::Status status) const {
  const std::string name(protocol::NameOf(status));
  switch (status) {
    case protocol::Status::kPass:
    case protocol::Status::kXfail:
      return In("32", name);
    case protocol::Status::kUnsupported:
    case protocol::Status::kSkip:
    case protocol::Status::kWaived:
      return In("33", name);
    default:
      return In("1;31", name);
  }
}

std::string RankBlock(const std::vector<RankFigures>& ranks, const Paint& paint) {
  if (ranks.empty()) return "";
  std::string out = paint.Dim("  rank  peak memory  idle                  most of it") + "\n";
  RankFigures rest;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (i < kRanksShown) {
      out += CutEnd(RankLine(ranks[i]), kTableWidth) + "\n";
      continue;
    }
    rest.memory.peak_bytes = std::max(rest.memory.peak_bytes, ranks[i].memory.peak_bytes);
    rest.wall_seconds += ranks[i].wall_seconds;
    rest.idle_seconds += ranks[i].idle_seconds;
  }
  if (ranks.size() > kRanksShown) {
    out += fmt::format("  and {} more ranks: at most {}, idle {}\n", ranks.size() - kRanksShown,
                       Bytes(rest.memory.peak_bytes), IdleWords(rest));
  }
  return out;
}

std::string FiguresBlock(const Record& record, const Paint& paint) {
  const std::vector<RankFigures> ranks = Together(record);
  if (OnVirtualDevices(record.system) && !ranks.empty()) {
    return paint.Bold("figures of the cases that pass: largest peak of a rank") + "\n" + RankBlock(ranks, paint) +
           kNoTimes;
  }
  if (ranks.empty()) return ThroughputLine(record);
  return paint.Bold("figures of the cases that pass: largest peak of a rank, its idle time in all of them") + "\n" +
         RankBlock(ranks, paint) + ReasonsLine(ranks) + ThroughputLine(record);
}

std::string TrainText(const TrainSummary& summary, bool color) {
  const Paint paint(color);
  const double seconds = Sum(summary.step_seconds), tokens = Sum(summary.tokens);
  std::string out = RankBlock(summary.ranks, paint) + ReasonsLine(summary.ranks);
  const std::string plan = protocol::ToString(summary.plan);
  const std::string took = summary.virtual_devices ? "" : " in " + Seconds(seconds);
  out += CutEnd(fmt::format("{} on {}, {}: {} steps{}", OneLine(summary.workload), OneLine(summary.backend), plan,
                            WithCommas(std::ssize(summary.step_seconds)), took),
                kTableWidth) +
         "\n";
  const std::size_t skip = summary.step_seconds.size() > 1 ? 1 : 0;
  const std::vector<double> settled(summary.step_seconds.begin() + static_cast<std::ptrdiff_t>(skip),
                                    summary.step_seconds.end());
  if (summary.virtual_devices) {
    out += fmt::format("{} tokens by the ledger\n", WithCommas(std::llround(tokens))) + kNoTimes;
  } else if (seconds > 0) {
    out += fmt::format("{} tokens by the ledger, {} tokens/s; median step {}; {} model FLOP/s\n",
                       WithCommas(std::llround(tokens)), Significant(tokens / seconds), Seconds(Median(settled)),
                       Significant(summary.model_flops / seconds));
  }
  const bool falls = summary.last_loss < summary.first_loss;
  out += paint.Verdict(fmt::format("loss {:.6g} -> {:.6g} at step {}{}", summary.first_loss, summary.last_loss,
                                   summary.last_step, summary.complete ? "" : " (cut short)"),
                       summary.complete && falls) +
         "\n";
  return out +
         "not judged: nothing here was held against one device; `lockstep conform --workload FILE --plan PLAN` does "
         "it\n";
}

}  // namespace lockstep::publish
