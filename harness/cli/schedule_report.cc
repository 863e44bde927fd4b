#include "harness/cli/schedule_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/cli/columns.h"

namespace lockstep::cli {
namespace {

using schedule::ClosedForm;
using schedule::Document;
using schedule::RankFigures;
using schedule::Simulation;

constexpr std::size_t kPathSteps = 16;  // of the critical path, printed; more are cut in the middle
constexpr std::size_t kRows = 64;       // of the table

std::string Percent(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? "-" : fmt::format("{:.1f}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::vector<std::string> Row(const Simulation& simulation, const std::optional<ClosedForm>& form, std::size_t rank) {
  const RankFigures& figures = simulation.ranks[rank];
  const auto cell = [&](std::int64_t measured, const std::vector<std::int64_t>* formula) {
    std::string text = std::to_string(measured);
    if (formula == nullptr) return text;
    const std::int64_t expected = (*formula)[rank];
    return text + (measured == expected ? " =" : " NOT " + std::to_string(expected));
  };
  return {std::to_string(rank),
          std::to_string(figures.busy),
          cell(figures.makespan_idle, form ? &form->makespan_idle : nullptr),
          Percent(figures.makespan_idle, simulation.makespan),
          cell(figures.span_idle, form ? &form->span_idle : nullptr),
          cell(figures.peak_activations, form ? &form->peak_activations : nullptr),
          std::to_string(figures.peak_bytes)};
}

std::string NameOf(const protocol::Schedule& schedule, const schedule::Step& step) {
  const auto& line = schedule.ranks[step.rank];
  const protocol::Action& action = line[step.position];
  const bool second = step.position > 0 && line[step.position - 1].with_next;
  return second ? ToString(line[step.position - 1]) + "&" + ToString(action) : ToString(action);
}

// The steps at which a rank computes; sends and receives take no time of their own.
std::vector<schedule::Step> Steps(const protocol::Schedule& schedule, const Simulation& simulation) {
  std::vector<schedule::Step> steps;
  std::int64_t wait = 0;
  for (schedule::Step step : simulation.critical_path) {
    wait += step.wait;
    if (schedule::IsTransfer(schedule.ranks[step.rank][step.position].kind)) continue;
    step.wait = wait;
    wait = 0;
    steps.push_back(step);
  }
  return steps;
}

std::string PathText(const protocol::Schedule& schedule, const Simulation& simulation) {
  const std::vector<schedule::Step> steps = Steps(schedule, simulation);
  std::map<std::string, std::int64_t> ticks;  // by kind
  std::int64_t waits = 0;
  for (const schedule::Step& step : steps) {
    const schedule::Span& span = simulation.timeline[step.rank][step.position];
    std::string kind = NameOf(schedule, step);
    std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
    ticks[kind] += span.end - span.start;
    waits += step.wait;
  }
  std::string sums;
  for (const auto& [kind, sum] : ticks) sums += fmt::format("{}{} {}", sums.empty() ? "" : ", ", kind, sum);
  if (waits > 0) sums += fmt::format(", messages on their way {}", waits);
  std::string path;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps.size() > kPathSteps && i == kPathSteps / 2) {
      path += fmt::format(" > ... {} more ...", steps.size() - kPathSteps);
      i = steps.size() - kPathSteps / 2;
    }
    path += (path.empty() ? "" : " > ") + NameOf(schedule, steps[i]);
  }
  return fmt::format("critical path, {} ticks: {}\n  {}\n", simulation.makespan, sums, path);
}

std::string CostText(const Document& document) {
  const schedule::Costs usual;
  std::string text;
  for (const schedule::CostField& field : schedule::CostFields()) {
    std::string value;
    if (field.list != nullptr) {
      const schedule::PerStage& list = document.costs.*field.list;
      const bool said = list != usual.*field.list || field.name == "forward" || field.name == "input_gradient" ||
                        field.name == "weight_gradient";
      if (said && list.size() > 8) value = std::to_string(list.size()) + " values";
      if (said && list.size() <= 8) value = fmt::format("{}", fmt::join(list, " "));
    } else if (document.costs.*field.number != usual.*field.number) {
      value = std::to_string(document.costs.*field.number);
    }
    if (!value.empty()) text += (text.empty() ? "" : ", ") + field.name + " " + value;
  }
  return text;
}

nlohmann::json PathJson(const protocol::Schedule& schedule, const Simulation& simulation) {
  nlohmann::json path = nlohmann::json::array();
  for (const schedule::Step& step : Steps(schedule, simulation)) {
    const schedule::Span& span = simulation.timeline[step.rank][step.position];
    path.push_back({{"rank", step.rank}, {"action", NameOf(schedule, step)}, {"start", span.start}, {"end", span.end}});
  }
  return path;
}

}  // namespace

std::string ShapeText(const protocol::Schedule& schedule) {
  const auto count = [](std::int64_t number, const char* one, const char* more) {
    return fmt::format("{} {}", number, number == 1 ? one : more);
  };
  return count(std::ssize(schedule.ranks), "rank", "ranks") + ", " + count(schedule.stages, "stage", "stages") + ", " +
         count(schedule.micro_batches, "micro-batch", "micro-batches");
}

std::string SimulationTable(const Document& document, const Simulation& simulation,
                            const std::optional<ClosedForm>& form) {
  std::string text = fmt::format("{}: {}\n{}\nmakespan {} ticks\n\n", document.schedule.name,
                                 ShapeText(document.schedule), CostText(document), simulation.makespan);
  Rows rows{{"rank", "busy", "makespan idle", "of step", "span idle", "peak activations", "bytes"}};
  for (std::size_t rank = 0; rank < std::min(kRows, simulation.ranks.size()); ++rank) {
    rows.push_back(Row(simulation, form, rank));
  }
  text += Aligned(rows);
  if (simulation.ranks.size() > kRows)
    text += fmt::format("  ... {} more ranks; --json has all\n", simulation.ranks.size() - kRows);
  if (form) {
    text +=
        fmt::format("\nclosed form (=: holds exactly): makespan idle {}, peak {}; F, I, W of one stage, B = I + W\n",
                    form->idle_text, form->peak_text);
  } else {
    text += "\nno closed form for this shape and these costs\n";
  }
  return text + PathText(document.schedule, simulation);
}

nlohmann::json SimulationJson(const Document& document, const Simulation& simulation,
                              const std::optional<ClosedForm>& form) {
  nlohmann::json ranks = nlohmann::json::array();
  for (std::size_t rank = 0; rank < simulation.ranks.size(); ++rank) {
    const RankFigures& figures = simulation.ranks[rank];
    nlohmann::json row{{"rank", rank},
                       {"busy", figures.busy},
                       {"makespan_idle", figures.makespan_idle},
                       {"span_idle", figures.span_idle},
                       {"first_start", figures.first_start},
                       {"last_end", figures.last_end},
                       {"peak_activations", figures.peak_activations},
                       {"peak_bytes", figures.peak_bytes}};
    if (form) {
      row["closed_form"] = {{"makespan_idle", form->makespan_idle[rank]},
                            {"span_idle", form->span_idle[rank]},
                            {"peak_activations", form->peak_activations[rank]}};
    }
    ranks.push_back(std::move(row));
  }
  return {{"schedule", document.schedule.name},
          {"stages", document.schedule.stages},
          {"micro_batches", document.schedule.micro_batches},
          {"makespan", simulation.makespan},
          {"ranks", ranks},
          {"critical_path", PathJson(document.schedule, simulation)}};
}

}  // namespace lockstep::cli
