#include "harness/cli/stalls_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "harness/cli/columns.h"

namespace lockstep::cli {
namespace {

using stalls::Category;
using stalls::Cause;
using stalls::Operation;
using stalls::RankStep;

constexpr std::size_t kMostRows = 48;    // of the table of steps; more with --every-step
constexpr std::size_t kMostCauses = 6;   // told; --json has all
constexpr std::size_t kMostSteps = 6;    // of a cause, listed
constexpr double kWorthTelling = 0.005;  // of the counted time

std::string Milliseconds(double seconds) { return fmt::format("{:.2f}", seconds * 1e3); }

bool IsPipeline(const StallsReport& report) { return report.run.schedule.ranks.size() > 1; }

// Categories that anything was charged to; unattributed always, and a pipeline's bubble.
std::vector<Category> ShownCategories(const StallsReport& report) {
  const stalls::Attribution& attribution = report.attribution;
  const bool pipeline = IsPipeline(report);
  std::vector<Category> shown;
  for (const Category category : stalls::AllCategories()) {
    const auto has = [&](const RankStep& each) { return each.seconds[static_cast<std::size_t>(category)] > 0; };
    const bool any = std::any_of(attribution.steps.begin(), attribution.steps.end(), has);
    const bool always = category == Category::kUnattributed || (category == Category::kBubble && pipeline);
    if (any || always) shown.push_back(category);
  }
  return shown;
}

std::vector<std::string> Heads(const StallsReport& report, const std::vector<Category>& shown,
                               std::vector<std::string> first) {
  for (const Category category : shown) {
    first.emplace_back(stalls::NameOf(category));
    if (category == Category::kBubble && IsPipeline(report)) first.emplace_back("(allowed)");
  }
  first.emplace_back("wall");
  return first;
}

void AddCells(const StallsReport& report, const std::vector<Category>& shown, const RankStep& figures, double divisor,
              std::vector<std::string>* row) {
  const auto pipeline = static_cast<std::size_t>(report.run.plan.At(figures.rank).pipeline);
  for (const Category category : shown) {
    row->push_back(Milliseconds(figures.seconds[static_cast<std::size_t>(category)] / divisor));
    if (category == Category::kBubble && IsPipeline(report))
      row->push_back("(" + Milliseconds(report.allowance.idle[pipeline]) + ")");
  }
  row->push_back(Milliseconds(figures.wall / divisor));
}

std::string MeanTable(const StallsReport& report, std::int64_t first) {
  const std::vector<Category> shown = ShownCategories(report);
  Rows rows{Heads(report, shown, {"rank"})};
  for (const RankStep& sum : stalls::SumOverSteps(report.attribution, first)) {
    std::vector<std::string> row{std::to_string(sum.rank)};
    AddCells(report, shown, sum, std::max<double>(1, static_cast<double>(sum.step)), &row);
    rows.push_back(row);
  }
  return Aligned(rows);
}

std::string StepTable(const StallsReport& report, bool every_step) {
  const std::vector<Category> shown = ShownCategories(report);
  std::vector<RankStep> steps = report.attribution.steps;
  std::string note;
  const std::size_t ranks = report.run.ranks.size();
  if (!every_step && steps.size() > kMostRows) {
    // The slowest are why somebody looks; that the first ones are slow is known.
    const std::int64_t first = stalls::FirstCountedStep(report.run);
    std::map<std::int64_t, double> wall;
    for (const RankStep& each : steps) {
      if (each.step >= first) wall[each.step] = std::max(wall[each.step], each.wall);
    }
    std::vector<std::pair<double, std::int64_t>> slowest;
    for (const auto& [step, seconds] : wall) slowest.emplace_back(-seconds, step);
    std::sort(slowest.begin(), slowest.end());
    const std::size_t count = std::max<std::size_t>(1, std::min<std::size_t>(4, kMostRows / ranks));
    std::set<std::int64_t> chosen;
    for (std::size_t i = 0; i < std::min(count, slowest.size()); ++i) chosen.insert(slowest[i].second);
    std::erase_if(steps, [&](const RankStep& each) { return !chosen.contains(each.step); });
    note = fmt::format("  the {} slowest of steps {} to {}; --every-step has all\n", chosen.size(), first,
                       report.run.last_step);
  }
  std::stable_sort(steps.begin(), steps.end(), [](const RankStep& a, const RankStep& b) { return a.step < b.step; });
  Rows rows{Heads(report, shown, {"step", "rank"})};
  for (const RankStep& each : steps) {
    std::vector<std::string> row{std::to_string(each.step), std::to_string(each.rank)};
    AddCells(report, shown, each, 1, &row);
    rows.push_back(row);
  }
  return Aligned(rows) + note;
}

// The same operation in several steps is one line, where it took about as much longer in each.
struct CauseLine {
  Cause first;  // the slowest
  std::vector<std::int64_t> steps;
  double excess = 0, cost = 0, waited = 0;
};

void Add(const Cause& cause, std::vector<CauseLine>* lines) {
  const auto alike = [&](const CauseLine& line) {
    Operation operation = line.first.operation;
    operation.step = cause.operation.step;
    return line.first.usual == cause.usual && operation == cause.operation && cause.excess * 2 >= line.first.excess;
  };
  auto line = std::find_if(lines->begin(), lines->end(), alike);
  if (line == lines->end()) line = lines->insert(lines->end(), {cause, {}, 0, 0, 0});
  line->steps.push_back(cause.operation.step);
  line->excess += cause.excess;
  line->cost += cause.step_cost;
  line->waited += cause.others_waited;
}

// `steps`: that count. What is usual is told a step, and weighs as much as it did in all of them.
std::vector<CauseLine> CauseLines(const StallsReport& report, std::int64_t first, double steps, double least) {
  std::vector<Cause> causes = report.attribution.causes;
  std::erase_if(causes, [&](const Cause& cause) { return !cause.usual && cause.operation.step < first; });
  std::stable_sort(causes.begin(), causes.end(), [](const Cause& a, const Cause& b) { return a.excess > b.excess; });
  std::vector<CauseLine> lines;
  for (const Cause& cause : causes) Add(cause, &lines);
  const auto weight = [&](const CauseLine& line) {
    return std::max(line.cost, line.waited) * (line.first.usual ? steps : 1);
  };
  std::erase_if(lines, [&](const CauseLine& line) { return weight(line) < least; });
  std::stable_sort(lines.begin(), lines.end(),
                   [&](const CauseLine& a, const CauseLine& b) { return weight(a) > weight(b); });
  return lines;
}

std::string StepsText(std::vector<std::int64_t> steps) {
  std::sort(steps.begin(), steps.end());
  if (steps.size() == 1) return fmt::format("step {}", steps[0]);
  if (steps.size() <= kMostSteps) return fmt::format("steps {}", fmt::join(steps, ", "));
  return fmt::format("{} steps", steps.size());
}

std::string CauseText(const CauseLine& line) {
  std::string text = stalls::ToString(line.first.operation);
  if (line.first.usual) return text + ", every step";
  if (line.steps.size() == 1 && line.first.micro_batch >= 0) {
    text += fmt::format(", micro-batch {}", line.first.micro_batch);
  }
  return text + ", " + StepsText(line.steps);
}

// `counted`: seconds of all counted steps, `steps` of them.
std::string CausesText(const StallsReport& report, std::int64_t first, double counted) {
  const double steps = static_cast<double>(report.run.last_step - first + 1);
  const std::vector<CauseLine> lines = CauseLines(report, first, steps, kWorthTelling * counted);
  if (lines.empty()) return "what was to blame: nothing stands out\n";
  Rows rows{{"what was to blame, ms", "longer by", "all others waited", "step longer by"}};
  for (const CauseLine& line : lines) {
    if (rows.size() > kMostCauses) break;
    const std::string each = line.first.usual ? " a step" : "";
    rows.push_back({CauseText(line), Milliseconds(line.excess) + each, Milliseconds(line.waited) + each,
                    Milliseconds(line.cost) + each});
  }
  std::string text = Aligned(rows, 1).substr(2);
  if (lines.size() > kMostCauses) text += fmt::format("  {} more; --json has all\n", lines.size() - kMostCauses);
  return text;
}

std::string AdviceText(const StallsReport& report, double step) {
  std::string text;
  for (const stalls::Advice& advice : report.advice) {
    text += fmt::format("  {}: {} ms a step ({:.1f}%) less{}\n", advice.what, Milliseconds(advice.seconds),
                        100 * advice.seconds / step, advice.price.empty() ? "" : "; " + advice.price);
  }
  return text;
}

std::string ClockText(const stalls::Run& run) {
  double uncertainty = 0, moved = 0;
  for (const auto& clock : run.clocks) {
    uncertainty = std::max(uncertainty, clock.uncertainty);
    moved = std::max(moved, std::abs(clock.moved));
  }
  std::string text =
      uncertainty == 0 ? "one clock for all ranks" : fmt::format("clocks agree to within {:.1f} us", uncertainty * 1e6);
  if (moved > 0) text += fmt::format(", moved by up to {:.1f} us so that no message ends before it began", moved * 1e6);
  if (run.contradicted > 0) {
    text += fmt::format("; CONTRADICTED: a message ends {:.1f} us before it began", run.contradicted * 1e6);
  }
  return text;
}

struct Totals {
  double wall = 0, idle = 0, bubble = 0, unattributed = 0, step = 0;
};

Totals TotalsOf(const StallsReport& report, std::int64_t first) {
  Totals totals;
  double steps = 0;
  for (const RankStep& sum : stalls::SumOverSteps(report.attribution, first)) {
    totals.wall += sum.wall;
    totals.bubble += sum.seconds[static_cast<std::size_t>(Category::kBubble)];
    totals.unattributed += sum.seconds[static_cast<std::size_t>(Category::kUnattributed)];
    for (const Category category : stalls::AllCategories()) {
      if (stalls::IsIdle(category)) totals.idle += sum.seconds[static_cast<std::size_t>(category)];
    }
    steps += static_cast<double>(sum.step);
  }
  totals.step = steps > 0 ? totals.wall / steps : 0;
  return totals;
}

std::string BubbleText(const StallsReport& report, const Totals& totals) {
  if (!IsPipeline(report)) return "";
  const stalls::Allowance& allowance = report.allowance;
  const double allowed = std::accumulate(allowance.idle.begin(), allowance.idle.end(), 0.0) /
                         static_cast<double>(std::max<std::size_t>(1, allowance.idle.size()));
  const double share = totals.bubble / totals.wall;
  return fmt::format(
      "bubble: {} ms of a step ({:.1f}%); allowed {} ms ({:.1f}% of a step of operations alone, all stages equal), "
      "{}\n",
      Milliseconds(share * totals.step), 100 * share, Milliseconds(allowed), 100 * allowance.ratio,
      allowance.formula.empty() ? "by simulation" : "by " + report.run.schedule.name + "'s " + allowance.formula);
}

nlohmann::json OperationJson(const Operation& operation) {
  nlohmann::json value{{"rank", operation.rank}, {"operation", operation.name}};
  if (operation.step >= 0) value["step"] = operation.step;
  if (operation.stage >= 0) value["stage"] = operation.stage;
  if (operation.peer >= 0) value[operation.name == "sending" ? "to" : "from"] = operation.peer;
  return value;
}

nlohmann::json SecondsJson(const RankStep& figures) {
  nlohmann::json value{{"rank", figures.rank}, {"wall_seconds", figures.wall}};
  for (const Category category : stalls::AllCategories()) {
    value["seconds"][std::string(stalls::NameOf(category))] = figures.seconds[static_cast<std::size_t>(category)];
  }
  return value;
}

}  // namespace

std::string StallsText(const StallsReport& report, bool every_step) {
  const stalls::Run& run = report.run;
  const std::int64_t first = stalls::FirstCountedStep(run);
  const Totals totals = TotalsOf(report, first);
  std::string text =
      fmt::format("{}, plan {}{}: {} ranks, steps {} to {}; {}\n", run.name, protocol::ToString(run.plan),
                  IsPipeline(report) ? ", schedule " + run.schedule.name : "", run.ranks.size(), run.first_step,
                  run.last_step, ClockText(run));
  text += fmt::format("\nwhere a step's {} ms went, in ms; mean of steps {} to {}\n", Milliseconds(totals.step), first,
                      run.last_step);
  text += MeanTable(report, first);
  text += BubbleText(report, totals);
  text += fmt::format("unattributed: {:.2f}% of the time\n", 100 * totals.unattributed / totals.wall);
  for (const std::string& doubt : run.doubts) text += "doubt: " + doubt + "\n";
  text += "\n" + CausesText(report, first, totals.wall / static_cast<double>(run.ranks.size()));
  const std::string advice = AdviceText(report, totals.step);
  if (!advice.empty()) text += "\nwhat would help, by simulation and replay\n" + advice;
  text += "\neach step\n" + StepTable(report, every_step);
  return text;
}

nlohmann::json StallsJson(const StallsReport& report) {
  const stalls::Run& run = report.run;
  const std::int64_t first = stalls::FirstCountedStep(run);
  nlohmann::json value{{"run", run.name},
                       {"plan", protocol::ToString(run.plan)},
                       {"schedule", run.schedule.name},
                       {"first_step", run.first_step},
                       {"last_step", run.last_step},
                       {"first_counted_step", first},
                       {"doubts", run.doubts},
                       {"contradicted_seconds", run.contradicted}};
  for (std::size_t rank = 0; rank < run.clocks.size(); ++rank) {
    value["clocks"].push_back({{"rank", rank},
                               {"uncertainty_seconds", run.clocks[rank].uncertainty},
                               {"moved_seconds", run.clocks[rank].moved}});
  }
  value["allowed"] = {{"formula", report.allowance.formula},
                      {"idle_seconds", report.allowance.idle},
                      {"makespan_seconds", report.allowance.makespan},
                      {"ratio", report.allowance.ratio}};
  for (const RankStep& sum : stalls::SumOverSteps(report.attribution, first)) {
    value["sums"].push_back(SecondsJson(sum));
    value["sums"].back()["steps"] = sum.step;
  }
  for (const RankStep& each : report.attribution.steps) {
    value["steps"].push_back(SecondsJson(each));
    value["steps"].back()["step"] = each.step;
  }
  value["causes"] = nlohmann::json::array();
  for (const Cause& cause : report.attribution.causes) {
    nlohmann::json row = OperationJson(cause.operation);
    row["category"] = std::string(stalls::NameOf(cause.category));
    row["usual"] = cause.usual;
    if (cause.micro_batch >= 0) row["micro_batch"] = cause.micro_batch;
    row["excess_seconds"] = cause.excess;
    row["step_cost_seconds"] = cause.step_cost;
    row["others_waited_seconds"] = cause.others_waited;
    value["causes"].push_back(row);
  }
  value["advice"] = nlohmann::json::array();
  for (const stalls::Advice& advice : report.advice) {
    value["advice"].push_back({{"what", advice.what}, {"seconds", advice.seconds}, {"price", advice.price}});
  }
  return value;
}

}  // namespace lockstep::cli
